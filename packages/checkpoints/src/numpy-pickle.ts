import { toFloat32 } from './dtypes';
import { quote } from './error';
import { byteOrdered, elementTypeOf } from './npy';
import { type Buildable, Constructor, kindOf, type PickleContext } from './pickle';
import { isSizes, rowMajor, type Storage, sizeOf, stridedTensor } from './strided';
import type { CheckpointTensor } from './values';

/** NumPy's type of values: a letter and a width; its state says the order of bytes. */
class NumpyType implements Buildable {
  order = '|';
  constructor(readonly code: string) {}

  build(state: unknown, { fail }: PickleContext): void {
    const order = Array.isArray(state) ? state[1] : undefined;
    if (order !== '<' && order !== '>' && order !== '=' && order !== '|') {
      throw fail(`numpy.dtype has byte order ${quote(order)}`);
    }
    this.order = order === '=' ? '<' : order;
  }
}

/** An array that is known only when its state comes: until then an array of no values. */
export class NumpyArray implements Buildable {
  tensor: CheckpointTensor | undefined;

  build(state: unknown, context: PickleContext): void {
    const [, shape, type, fortranOrder, data] = Array.isArray(state) && state.length === 5 ? state : [];
    this.tensor = arrayOf(data, shape, type, fortranOrder === true, context);
  }
}

function arrayOf(data: unknown, shape: unknown, type: unknown, fortranOrder: boolean, context: PickleContext) {
  const { fail } = context;
  if (!(type instanceof NumpyType)) return fail(`NumPy array has type ${kindOf(type)}`);
  const bytes = bytesOfText(data, context);
  if (!isSizes(shape)) return fail(`NumPy array has shape ${quote(shape)}`);
  const { dtype, width } = elementTypeOf(`${type.order}${type.code}`, fail);
  if (bytes.length !== sizeOf(shape) * width) {
    return fail(`NumPy array has ${bytes.length} bytes, expected ${sizeOf(shape) * width} for [${shape}]`);
  }
  const storage: Storage = {
    dtype,
    length: sizeOf(shape),
    read: (begin, end) => byteOrdered(bytes.subarray(begin, end), type.order, width),
  };
  const strides = fortranOrder ? rowMajor([...shape].reverse()).reverse() : rowMajor(shape);
  return stridedTensor(storage, 0, shape, strides, fail);
}

/** Bytes, which Python 2 pickled as text. */
function bytesOfText(data: unknown, { fail, budget, offset }: PickleContext): Uint8Array {
  if (data instanceof Uint8Array) return data;
  if (typeof data !== 'string') return fail(`NumPy data is ${kindOf(data)}`);
  budget.allocate(data.length, offset);
  const bytes = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const code = data.charCodeAt(i);
    bytes[i] = code < 256 ? code : fail('bytes are written as text that is not Latin-1');
  }
  return bytes;
}

const reconstruct = new Constructor('numpy _reconstruct', () => new NumpyArray());
const scalar = new Constructor('numpy scalar', ([type, data], context) => {
  const { dtype, data: bytes } = arrayOf(data, [], type, false, context);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (dtype === 'F64') return view.getFloat64(0, true);
  if (dtype === 'I64' || dtype === 'U64') {
    const value = dtype === 'I64' ? view.getBigInt64(0, true) : view.getBigUint64(0, true);
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }
  if (dtype === 'BOOL') return view.getUint8(0) !== 0;
  if (dtype === 'I32') return view.getInt32(0, true);
  if (dtype === 'U32') return view.getUint32(0, true);
  return toFloat32(bytes, dtype)[0]!;
});
const frombuffer = new Constructor('numpy _frombuffer', ([data, type, shape, order], context) =>
  arrayOf(data, shape, type, order === 'F', context),
);

/** The names by which NumPy's arrays and numbers are pickled. */
export const numpyNames: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['numpy ndarray', new Constructor('numpy.ndarray')],
  [
    'numpy dtype',
    new Constructor('numpy.dtype', ([code], { fail }) =>
      typeof code === 'string' ? new NumpyType(code) : fail('numpy.dtype has no type'),
    ),
  ],
  ...['numpy.core', 'numpy._core'].flatMap((core): [string, unknown][] => [
    [`${core}.multiarray _reconstruct`, reconstruct],
    [`${core}.multiarray scalar`, scalar],
    [`${core}.numeric _frombuffer`, frombuffer],
  ]),
  [
    // How protocol 2 spells bytes.
    '_codecs encode',
    new Constructor('_codecs.encode', ([text, encoding], context) =>
      encoding === 'latin1' ? bytesOfText(text, context) : context.fail(`bytes are in encoding ${quote(encoding)}`),
    ),
  ],
]);
