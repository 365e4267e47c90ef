import { allowedNames, StorageType, TorchStorage } from './constructors';
import { bytesOf, type DType } from './dtypes';
import { CheckpointError, quote } from './error';
import type { Budget } from './limits';
import { kindOf, type PickleContext, type PickleOptions, readPickle } from './pickle';
import { isSize } from './strided';
import type { ZipEntry } from './zip';

/** Files within files: an NVIDIA pickle holds storages as PyTorch files, which hold no more. */
const MAX_NESTING = 3;

/** What PyTorch's legacy files begin with: a pickle of the magic number 0x1950a86a20f9469cfc6c. */
const legacyMagic = [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e];

/** Whether a file begins as PyTorch's legacy files do. */
export const isTorchLegacy = (bytes: Uint8Array) => legacyMagic.every((byte, i) => bytes[i] === byte);

function optionsOf(
  offset: number,
  budget: Budget,
  nesting: number,
  persistent: PickleOptions['persistent'],
): PickleOptions {
  return {
    offset,
    budget,
    find: (name) => allowedNames.get(name),
    persistent,
    nested(file, at) {
      if (nesting >= MAX_NESTING) throw new CheckpointError(`files are nested deeper than ${MAX_NESTING}`, at);
      if (!isTorchLegacy(file)) throw new CheckpointError('storage is no PyTorch file', at);
      return readTorchLegacy(file, at, budget, nesting + 1);
    },
  };
}

/** The value of a pickle that stands alone, NVIDIA's for one. */
export function readPlainPickle(bytes: Uint8Array, budget: Budget): unknown {
  const { value, end } = readPickle(
    bytes,
    0,
    optionsOf(0, budget, 0, (_, { fail }) => fail('pickle refers to what is outside of it')),
  );
  if (end !== bytes.length) throw new CheckpointError(`${bytes.length - end} bytes follow the pickle`, end);
  return value;
}

/** What a persistent id says of a storage. */
function storageOf(id: unknown, { fail }: PickleContext): { dtype: DType; key: string; length: number } {
  const [what, type, key, , length, view] = Array.isArray(id) ? id : [];
  if (what !== 'storage') return fail(`pickle refers to ${kindOf(what ?? null)}, expected a storage`);
  if (!(type instanceof StorageType)) return fail(`storage is of ${kindOf(type ?? null)}`);
  if (typeof key !== 'string') return fail(`storage has ${kindOf(key)} for a key`);
  if (!isSize(length)) return fail(`storage ${quote(key)} has ${kindOf(length)} values`);
  if (view !== undefined && view !== null)
    fail(`storage ${quote(key)} is a view of another: written by PyTorch before 0.4`);
  return { dtype: type.dtype, key, length };
}

/** The value of a PyTorch file: a zip archive with `data.pkl` and a file a storage. */
export function readTorchZip(entries: ReadonlyMap<string, ZipEntry>, budget: Budget): unknown {
  const pickles = [...entries.keys()].filter((name) => /^[^/]*\/data\.pkl$/.test(name));
  if (pickles.length !== 1) throw new CheckpointError(`archive has ${pickles.length} data.pkl, expected one`, 0);
  const root = pickles[0]!.slice(0, -'data.pkl'.length);
  const pickle = entries.get(pickles[0]!)!;
  const order = entries.get(`${root}byteorder`);
  if (order && new TextDecoder().decode(order.head(16)) !== 'little') {
    throw new CheckpointError('file is of a big-endian machine', order.offset);
  }
  const { value } = readPickle(
    pickle.read(),
    0,
    optionsOf(pickle.stored ? pickle.offset : 0, budget, 0, (id, context) => {
      const { dtype, key, length } = storageOf(id, context);
      const entry = entries.get(`${root}data/${key.slice(0, 1000)}`);
      if (!entry) return context.fail(`archive has no storage ${quote(key)}`);
      if (entry.size !== length * bytesOf[dtype]) {
        context.fail(`storage ${quote(key)} has ${entry.size} bytes, expected ${length * bytesOf[dtype]}`);
      }
      return new TorchStorage(dtype, length, (begin, end) => entry.read(begin, end));
    }),
  );
  return value;
}

/** The value of a PyTorch file as versions before 1.6 wrote them: five pickles one after another, then the storages. */
export function readTorchLegacy(bytes: Uint8Array, offset: number, budget: Budget, nesting = 0): unknown {
  const storages = new Map<string, { dtype: DType; length: number; data: Uint8Array | undefined }>();
  let at = legacyMagic.length;
  const next = (persistent?: PickleOptions['persistent']) => {
    const { value, end } = readPickle(
      bytes,
      at,
      optionsOf(offset, budget, nesting, persistent ?? ((_, { fail }) => fail('storage where there is none'))),
    );
    at = end;
    return value;
  };
  const fail = (reason: string): never => {
    throw new CheckpointError(reason, offset + at);
  };

  const version = next();
  if (version !== 1001) fail(`file is of protocol ${kindOf(version)}, expected 1001`);
  const system = next() as Record<string, unknown> | null;
  if (system?.little_endian !== true) fail('file is not of a little-endian machine');
  const value = next((id, context) => {
    const { dtype, key, length } = storageOf(id, context);
    const known = storages.get(key);
    if (known && (known.dtype !== dtype || known.length !== length)) {
      context.fail(`storage ${quote(key)} has ${length} ${dtype}, before it had ${known.length} ${known.dtype}`);
    }
    const storage = known ?? { dtype, length, data: undefined };
    storages.set(key, storage);
    return new TorchStorage(dtype, length, (begin, end) => storage.data!.subarray(begin, end));
  });

  const keys = next();
  if (!Array.isArray(keys)) return fail(`storages are listed as ${kindOf(keys)}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const key of keys) {
    const storage = typeof key === 'string' ? storages.get(key) : undefined;
    if (!storage || storage.data)
      return fail(`storage ${kindOf(key)} ${storage ? 'comes twice' : 'belongs to no tensor'}`);
    if (at + 8 > bytes.length) fail('storage has no size: the file is cut short');
    const length = Number(view.getBigUint64(at, true));
    if (length !== storage.length) fail(`storage ${quote(key)} has ${length} values, expected ${storage.length}`);
    const size = length * bytesOf[storage.dtype];
    if (!(size <= bytes.length - at - 8)) {
      fail(`storage ${quote(key)} has ${size} bytes, the file has ${bytes.length - at - 8} after this`);
    }
    storage.data = bytes.subarray(at + 8, at + 8 + size);
    at += 8 + size;
  }
  for (const [key, { data }] of storages) if (!data) fail(`storage ${quote(key)} is missing`);
  if (at !== bytes.length) fail(`${bytes.length - at} bytes follow the last storage`);
  return value;
}
