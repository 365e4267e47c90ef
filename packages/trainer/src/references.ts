import * as tf from '@tensorflow/tfjs-core';
import type { Communicator } from './communicator';
import { type Batch, partOf } from './objective';

/** Options of {@link gatheredReferences}. */
export interface GatheredReferencesOptions {
  /** Whether only references of a row's own class count: those of classes that no row here has are then left out. Default false. */
  readonly classConditional?: boolean;
}

/** The batch of all processes as references, step by step. */
export interface SharedReferences {
  /** Gathers a batch: the trainer's `prepare`. */
  prepare(batch: Batch): Promise<void>;
  /** What was gathered last, the images new and the caller's: `gather` of `estimatorOf` of `@cm/sct`. */
  gather(): { readonly images: tf.Tensor; readonly labels?: Int32Array; readonly ownIndex: Int32Array };
}

/**
 * The stable target's references over the batch of all processes (Eq. 13, 14), so that what a row's target is does not depend on how many
 * processes there are. Images travel as bytes, exactly: v/127.5 − 1 of the 256 values that a loader's images have; as float32 where one is none of them.
 *
 * @throws Error (`prepare`) when it is class-conditional and the batch has no labels
 */
export function gatheredReferences(
  communicator: Communicator,
  { classConditional = false }: GatheredReferencesOptions = {},
): SharedReferences {
  let last: { values: Float32Array; shape: number[]; labels?: Int32Array; ownIndex: Int32Array } | undefined;
  return {
    async prepare(batch) {
      const { images, labels } = batch;
      if (classConditional && !labels) {
        throw new Error('gatheredReferences: the batch has no labels, expected them for classConditional');
      }
      const [count, ...shape] = images.shape;
      const size = shape.reduce((product, extent) => product * extent, 1);
      const own = encoded((await images.data()) as Float32Array);
      const all = (await communicator.allGatherBytes(own)).map(decoded);
      const { first, total } = partOf(batch);
      const classes = labels && (await gatheredLabels(communicator, labels));
      const present = new Set(classConditional ? Array.from(labels!) : []);
      const kept = Array.from({ length: total }, (_, row) => row).filter(
        (row) => !classConditional || present.has(classes![row]!),
      );
      const values = new Float32Array(kept.length * size);
      const place = new Map<number, number>();
      kept.forEach((row, i) => {
        const at = (row % count) * size;
        values.set(all[Math.floor(row / count)]!.subarray(at, at + size), i * size);
        place.set(row, i);
      });
      last = {
        values,
        shape: [kept.length, ...shape],
        ...(classes && { labels: Int32Array.from(kept, (row) => classes[row]!) }),
        ownIndex: Int32Array.from({ length: count }, (_, row) => place.get(first + row)!),
      };
    },
    gather() {
      if (!last) throw new Error('gatheredReferences: nothing has been gathered, expected `prepare` before the step');
      const { values, shape, ...rest } = last;
      return { images: tf.tensor(values, shape, 'float32'), ...rest };
    },
  };
}

/** Bytes of images, their form first. */
function encoded(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(1 + values.length);
  for (let i = 0; i < values.length; i++) {
    const byte = Math.round((values[i]! + 1) * 127.5);
    if (byte < 0 || byte > 255 || Math.fround(byte / 127.5 - 1) !== values[i]) {
      const floats = new Uint8Array(1 + 4 * values.length);
      floats.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), 1);
      floats[0] = 1;
      return floats;
    }
    bytes[1 + i] = byte;
  }
  return bytes;
}

const decoded = (bytes: Uint8Array): Float32Array =>
  bytes[0] === 1
    ? new Float32Array(bytes.slice(1).buffer)
    : Float32Array.from(bytes.subarray(1), (byte) => byte / 127.5 - 1);

async function gatheredLabels(communicator: Communicator, labels: ArrayLike<number>): Promise<number[]> {
  const all = await communicator.allGatherBytes(new Uint8Array(Int32Array.from(labels).buffer));
  return all.flatMap((bytes) => Array.from(new Int32Array(bytes.slice().buffer)));
}
