import * as tf from '@tensorflow/tfjs-core';
import { typeCode } from '../backend';
import { define, listOf } from './define';

const UNARY =
  'Abs Acos Acosh Asin Asinh Atan Atanh Ceil ComplexAbs Cos Cosh Erf Exp Expm1 Floor IsFinite IsInf IsNan Log Log1p LogicalNot ' +
  'Elu Neg Reciprocal Relu Relu6 Round Rsqrt Selu Sigmoid Sign Sin Sinh Softplus Sqrt Square Tan Tanh OnesLike ZerosLike';

const BINARY =
  'Add Atan2 BitwiseAnd Equal FloorDiv Greater GreaterEqual Less LessEqual LogicalAnd LogicalOr LogicalXor Maximum Minimum Mod ' +
  'Multiply NotEqual Pow RealDiv SquaredDifference Sub';

/** One value of one, or of two. */
export const elementwise: tf.KernelConfig[] = [
  ...UNARY.split(' ').map((name) => define<'x'>(name, ({ inputs: { x }, backend }) => backend.call(name, x))),
  ...BINARY.split(' ').map((name) =>
    define<'a' | 'b'>(name, ({ inputs: { a, b }, backend }) => backend.call(name, a, b)),
  ),
  define(tf.AddN, ({ inputs, backend }) => backend.call('AddN', listOf(inputs))),
  define<'x', tf.StepAttrs>(tf.Step, ({ inputs: { x }, attrs, backend }) => backend.call('Step', x, attrs.alpha)),
  define<'x', tf.ClipByValueAttrs>(tf.ClipByValue, ({ inputs: { x }, attrs, backend }) =>
    backend.call('ClipByValue', x, attrs.clipValueMin, attrs.clipValueMax),
  ),
  define<'x', tf.LeakyReluAttrs>(tf.LeakyRelu, ({ inputs: { x }, attrs, backend }) =>
    backend.call('LeakyRelu', x, attrs.alpha),
  ),
  define<'x' | 'alpha'>(tf.Prelu, ({ inputs: { x, alpha }, backend }) => backend.call('Prelu', x, alpha)),
  define<'dy' | 'y'>(tf.EluGrad, ({ inputs: { dy, y }, backend }) => backend.call('EluGrad', dy, y)),
  define<'condition' | 't' | 'e'>(tf.Select, ({ inputs: { condition, t, e }, backend }) =>
    backend.call('Select', condition, t, e),
  ),
  define<'x', tf.CastAttrs>(tf.Cast, ({ inputs: { x }, attrs, backend }) =>
    backend.call('Cast', x, typeCode(attrs.dtype)),
  ),
  define<'real' | 'imag'>(tf.Complex, ({ inputs: { real, imag }, backend }) => backend.call('Complex', real, imag)),
  define<'input'>(tf.Real, ({ inputs: { input }, backend }) => backend.call('Real', input)),
  define<'input'>(tf.Imag, ({ inputs: { input }, backend }) => backend.call('Imag', input)),
  define<never, tf.FillAttrs>(tf.Fill, ({ attrs: { shape, value, dtype }, backend }) => {
    const type = dtype ?? tf.util.inferDtype(value);
    if (typeof value === 'string') {
      const strings = new Array<string>(tf.util.sizeFromShape(shape)).fill(value);
      const bytes = strings.map((text) => tf.util.encodeString(text));
      return { dataId: backend.write(bytes, shape, 'string'), shape, dtype: 'string' };
    }
    return backend.call('Fill', shape, value, typeCode(type));
  }),
  define<never, tf.LinSpaceAttrs>(tf.LinSpace, ({ attrs: { start, stop, num }, backend }) =>
    backend.call('LinSpace', start, stop, num),
  ),
  define<never, tf.RangeAttrs>(tf.Range, ({ attrs: { start, stop, step, dtype }, backend }) => {
    // The default step of 1 walks down where stop lies below.
    const by = stop < start && step === 1 ? -1 : step;
    const count = Math.max(0, Math.ceil((stop - start) / by));
    const steps = Array.from({ length: count }, (_, i) => start + i * by);
    const values = dtype === 'int32' ? Int32Array.from(steps) : Float32Array.from(steps);
    return backend.make(values, [count], dtype ?? 'float32');
  }),
];
