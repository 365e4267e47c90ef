import * as tf from '@tensorflow/tfjs-core';
import { readSafetensors } from './safetensors';
import { toTensors } from './tensors';

/** What {@link loadTensors} gives. */
export interface LoadedTensors {
  /** The caller's to free. */
  readonly tensors: tf.NamedTensorMap;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Saves tensors where TensorFlow.js saves models: `indexeddb://name`, `localstorage://name` and `downloads://name` in browsers, an address that
 * takes uploads, or any handler, such as `tf.io.withSaveHandler(…)`. Values keep their types.
 *
 * @param metadata Texts to keep beside them, such as a network's configuration as JSON.
 * @throws Error when nothing handles the address; the handler's error
 */
export async function saveTensors(
  tensors: tf.NamedTensorMap,
  to: string | tf.io.IOHandler,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const handler = typeof to === 'string' ? (tf.io.getSaveHandlers(to) as tf.io.IOHandler[])[0] : to;
  if (!handler?.save) throw new Error(`saveTensors: to is ${name(to)}, expected what a handler saves to`);
  const { data, specs } = await tf.io.encodeWeights(tensors);
  // The stores refuse artifacts without a topology; these have weights alone.
  await handler.save({ modelTopology: {}, weightData: data, weightSpecs: specs, userDefinedMetadata: { ...metadata } });
}

/**
 * Loads tensors from where TensorFlow.js loads models: what {@link saveTensors} saved, the weights of any TensorFlow.js model
 * (`https://…/model.json`), or a handler, such as that of {@link safetensorsHandler}.
 *
 * @throws Error when nothing handles the address, or there are no weights; the handler's error
 */
export async function loadTensors(from: string | tf.io.IOHandler): Promise<LoadedTensors> {
  const handler = typeof from === 'string' ? (tf.io.getLoadHandlers(from) as tf.io.IOHandler[])[0] : from;
  if (!handler?.load) throw new Error(`loadTensors: from is ${name(from)}, expected what a handler loads from`);
  const { weightData, weightSpecs, userDefinedMetadata } = await handler.load();
  if (!weightData || !weightSpecs) throw new Error(`loadTensors: ${name(from)} has no weights`);
  const texts = Object.entries(userDefinedMetadata ?? {}).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return { tensors: tf.io.decodeWeights(weightData, weightSpecs), metadata: Object.fromEntries(texts) };
}

/**
 * A handler of `tf.io` that fetches a safetensors file, for whatever takes handlers. Floats of all widths become float32, as in `toTensors`.
 *
 * @param init What `fetch` is given besides: headers, a signal, the cache's mode.
 * @throws Error (its `load`) when the server answers with an error; CheckpointError when it is no such file
 */
export function safetensorsHandler(address: string | URL, init?: RequestInit): tf.io.IOHandler {
  return {
    load: async () => {
      const response = await fetch(address, init);
      if (!response.ok) throw new Error(`safetensorsHandler: ${address}: ${response.status} ${response.statusText}`);
      const { tensors, metadata } = readSafetensors(new Uint8Array(await response.arrayBuffer()));
      const loaded = toTensors(tensors);
      const { data, specs } = await tf.io.encodeWeights(loaded);
      tf.dispose(loaded);
      return { modelTopology: {}, weightData: data, weightSpecs: specs, userDefinedMetadata: { ...metadata } };
    },
  };
}

const name = (place: string | tf.io.IOHandler) => (typeof place === 'string' ? `'${place}'` : 'a handler');
