import { torchStorages } from './constructors';
import { bytesOf } from './dtypes';
import type { FileTensor } from './safetensors';
import { rowMajor, sizeOf } from './strided';
import { writeZip } from './zip';

/**
 * The bytes of a PyTorch file with a state dictionary, which `torch.load(path, weights_only=True)` opens: names, types, shapes and bits are the
 * tensors', in the given order. The same tensors in the same order give the same bytes.
 *
 * @throws Error when a type has no PyTorch storage (unsigned integers wider than a byte) or bytes do not fit their shape; RangeError when
 *   the file would be of 4 GiB or more
 */
export function writeTorchStateDict(tensors: Readonly<Record<string, FileTensor>>): Uint8Array {
  const entries = Object.entries(tensors);
  const pickle: Uint8Array[] = [protocol2, global('collections', 'OrderedDict'), emptyTuple, reduce, mark];
  const storages = entries.map(([name, { dtype, shape, data }], i): [string, Uint8Array] => {
    const storage = Object.entries(torchStorages).find(([, type]) => type === dtype)?.[0];
    if (!storage) throw new Error(`writeTorchStateDict: ${name} is ${dtype}, which PyTorch has no storage for`);
    const count = sizeOf(shape);
    if (data.byteLength !== count * bytesOf[dtype]) {
      throw new Error(
        `writeTorchStateDict: ${name} has ${data.byteLength} bytes, expected ${count * bytesOf[dtype]} for ${dtype} [${shape}]`,
      );
    }
    const key = String(i);
    const id = tuple(text('storage'), global('torch', storage), text(key), text('cpu'), integer(count));
    const hooks = [global('collections', 'OrderedDict'), emptyTuple, reduce];
    pickle.push(text(name), global('torch._utils', '_rebuild_tensor_v2'), mark, id, persistentId, integer(0));
    pickle.push(sizes(shape), sizes(rowMajor(shape)), newFalse, ...hooks, tupleEnd, reduce);
    return [`archive/data/${key}`, data];
  });
  pickle.push(setItems, stop);
  const ascii = (value: string) => new TextEncoder().encode(value);
  return writeZip([
    ['archive/data.pkl', joined(pickle)],
    ['archive/byteorder', ascii('little')],
    ...storages,
    ['archive/version', ascii('3\n')],
  ]);
}

const protocol2 = Uint8Array.of(0x80, 2);
const mark = Uint8Array.of(0x28);
const stop = Uint8Array.of(0x2e);
const emptyTuple = Uint8Array.of(0x29);
const tupleEnd = Uint8Array.of(0x74);
const reduce = Uint8Array.of(0x52);
const newFalse = Uint8Array.of(0x89);
const persistentId = Uint8Array.of(0x51);
const setItems = Uint8Array.of(0x75);

const global = (module: string, name: string) => new TextEncoder().encode(`c${module}\n${name}\n`);

function text(value: string): Uint8Array {
  const bytes = new TextEncoder().encode(value);
  return joined([instruction(0x58, 4, (view) => view.setUint32(1, bytes.length, true)), bytes]);
}

const tuple = (...items: Uint8Array[]) => joined([mark, ...items, tupleEnd]);
const sizes = (values: readonly number[]) => tuple(...values.map(integer));

function integer(value: number): Uint8Array {
  if (value < 2 ** 31) return instruction(0x4a, 4, (view) => view.setInt32(1, value, true));
  return instruction(0x8a, 9, (view) => {
    view.setUint8(1, 8);
    view.setBigInt64(2, BigInt(value), true);
  });
}

function instruction(code: number, size: number, fill: (view: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(1 + size);
  bytes[0] = code;
  fill(new DataView(bytes.buffer));
  return bytes;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
