import { CheckpointObject, CheckpointTensor, type CheckpointValue } from '@cm/checkpoints';

/** A value as JSON has it. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/**
 * A checkpoint's value as JSON: large integers, infinities and NaN as text, bytes and tensors by what they are, an object by its class and the
 * arguments that it was constructed with, or its attributes where the file does not tell.
 */
export function plain(value: CheckpointValue): Json {
  if (typeof value === 'bigint' || (typeof value === 'number' && !Number.isFinite(value))) return String(value);
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (value instanceof CheckpointTensor) return `${value.dtype} [${value.shape.join(', ')}]`;
  if (value instanceof CheckpointObject) {
    const { className, init, state } = value;
    return init
      ? { class: className, args: init.args.map(plain), kwargs: plain(init.kwargs) }
      : { class: className, state: plain(state) };
  }
  if (isList(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

const isList = (value: object): value is readonly CheckpointValue[] => Array.isArray(value);
