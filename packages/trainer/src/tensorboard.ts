import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { isLogged, type LoggedEvent, type LogOptions } from './json-lines';
import type { LogSink } from './log';

/**
 * A folder of event files for TensorBoard: loss, learning rate, images a second, time waited, memory, the objective's numbers and evaluations, as
 * scalars over steps. Every process writes a file of its own, which begins by telling TensorBoard from which step on earlier files no longer count.
 */
export function tensorBoard(folder: string, { every = 1 }: LogOptions = {}): LogSink {
  let file: FileHandle | undefined;
  const close = async () => {
    await file?.close();
    file = undefined;
  };
  return {
    async write(event) {
      const time = Date.now() / 1000;
      if (event.type === 'started') {
        await close();
        await mkdir(folder, { recursive: true });
        // Files are read in the order of their names.
        file = await open(join(folder, `events.out.tfevents.${time.toFixed(3)}.trainer`), 'a');
        const first = event.step === 0 ? 0 : event.step + 1;
        await file.appendFile(Buffer.concat([record(versionEvent(time)), record(startEvent(time, first))]));
      }
      if (!file || !isLogged(event, every)) return;
      const scalars = scalarsOf(event);
      if (scalars.length > 0) await file.appendFile(record(scalarEvent(time, event.step, scalars)));
    },
    close,
  };
}

type Scalar = readonly [tag: string, value: number];

function scalarsOf(event: LoggedEvent): Scalar[] {
  const under = (group: string, values: Readonly<Record<string, number>>) =>
    Object.entries(values).map(([name, value]): Scalar => [`${group}/${name}`, value]);
  switch (event.type) {
    case 'step': {
      const { loss, learningRate, imagesPerSecond, secondsWaited, cleaned, bytes, stats } = event;
      return [
        ...under('training', { loss, learningRate, imagesPerSecond, secondsWaited, cleaned }),
        ...under('memory', { bytes, processBytes: process.memoryUsage.rss() }),
        ...under('objective', stats),
      ];
    }
    case 'evaluated':
      return under('evaluation', event.metrics);
    case 'snapshot':
      return [];
  }
}

// Protocol buffers, as far as TensorFlow's event.proto and summary.proto need them: a field is its number and wire type, then its value.

const varint = (value: number): number[] =>
  value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
const field = (number: number, type: 0 | 1 | 2 | 5, value: Uint8Array | readonly number[]) =>
  Buffer.from([...varint(number * 8 + type), ...value]);
const integer = (number: number, value: number) => field(number, 0, varint(value));
const bytes = (number: number, value: Uint8Array) => field(number, 2, [...varint(value.length), ...value]);
const text = (number: number, value: string) => bytes(number, Buffer.from(value));
const double = (number: number, value: number) => field(number, 1, new Uint8Array(Float64Array.of(value).buffer));
const float = (number: number, value: number) => field(number, 5, new Uint8Array(Float32Array.of(value).buffer));

/** Event { wall_time = 1; file_version = 3 }, the first of every file. */
const versionEvent = (time: number) => Buffer.concat([double(1, time), text(3, 'brain.Event:2')]);

/** Event { wall_time = 1; step = 2; session_log = 7 }, SessionLog { status = 1: START }: what earlier files have of this step and later is void. */
const startEvent = (time: number, step: number) =>
  Buffer.concat([double(1, time), integer(2, step), bytes(7, integer(1, 1))]);

/** Event { wall_time = 1; step = 2; summary = 5 }, Summary { repeated value = 1 }, Value { tag = 1; simple_value = 2 }. */
function scalarEvent(time: number, step: number, scalars: readonly Scalar[]): Buffer {
  const values = scalars.map(([tag, value]) => bytes(1, Buffer.concat([text(1, tag), float(2, value)])));
  return Buffer.concat([double(1, time), integer(2, step), bytes(5, Buffer.concat(values))]);
}

/** A record of a TFRecord file: length (64 bit), its checksum, the data, their checksum. */
function record(data: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.writeBigUInt64LE(BigInt(data.length));
  head.writeUInt32LE(maskedCrc(head.subarray(0, 8)), 8);
  const tail = Buffer.alloc(4);
  tail.writeUInt32LE(maskedCrc(data));
  return Buffer.concat([head, data, tail]);
}

/** CRC-32C, rotated right by 15 bits and moved by a constant, as the format masks it. */
function maskedCrc(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) crc = table[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  crc = ~crc;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** CRC-32C (Castagnoli) of every byte. */
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});
