import * as tf from '@tensorflow/tfjs-core';
import { type Rules, rule } from './rule';

type Geometry = Pick<tf.Conv2DAttrs, 'strides' | 'pad' | 'dataFormat' | 'dimRoundingMode'>;

const run = (kernel: string, inputs: tf.NamedTensorMap, attributes: object): tf.Tensor =>
  tf.engine().runKernel(kernel, inputs, attributes as tf.NamedAttrMap);

const geometry = ({ strides, pad, dataFormat, dimRoundingMode }: Geometry): Geometry => ({
  strides,
  pad,
  dataFormat,
  dimRoundingMode: dimRoundingMode as NonNullable<Geometry['dimRoundingMode']>,
});

/** y = x ∗ w. The three convolution kernels are each other's adjoints: each is linear in both of its inputs. */
const forward = (x: tf.Tensor, filter: tf.Tensor, g: Geometry): tf.Tensor =>
  run(tf.Conv2D, { x, filter }, { ...geometry(g), dilations: 1 });

const toInput = (dy: tf.Tensor, filter: tf.Tensor, inputShape: number[], g: Geometry): tf.Tensor =>
  run(tf.Conv2DBackpropInput, { dy, filter }, { ...geometry(g), inputShape });

const toFilter = (x: tf.Tensor, dy: tf.Tensor, filterShape: number[], g: Geometry): tf.Tensor =>
  run(tf.Conv2DBackpropFilter, { x, dy }, { ...geometry(g), filterShape });

/** Two-dimensional convolutions, their transposes, and depthwise ones. */
export const convolutionRules: Rules = {
  Conv2D: rule<tf.Conv2DAttrs>({ inputs: ['x', 'filter'] }, ([dy], [x, filter], attributes) => {
    if (!tf.backend_util.tupleValuesAreOne(attributes.dilations)) {
      throw new Error(`gradient of Conv2D: dilations are ${attributes.dilations}, only 1 is supported`);
    }
    return {
      x: () => toInput(dy!, filter!, x!.shape, attributes),
      filter: () => toFilter(x!, dy!, filter!.shape, attributes),
    };
  }),
  Conv2DBackpropFilter: rule<tf.Conv2DBackpropFilterAttrs>({ inputs: ['x', 'dy'] }, ([dw], [x, dy], attributes) => ({
    x: () => toInput(dy!, dw!, x!.shape, attributes),
    dy: () => forward(x!, dw!, attributes),
  })),
  Conv2DBackpropInput: rule<tf.Conv2DBackpropInputAttrs>(
    { inputs: ['dy', 'filter'] },
    ([dx], [dy, filter], attributes) => ({
      dy: () => forward(dx!, filter!, attributes),
      filter: () => toFilter(dx!, dy!, filter!.shape, attributes),
    }),
  ),
  DepthwiseConv2dNative: rule<tf.DepthwiseConv2dNativeAttrs>(
    { inputs: ['x', 'filter'] },
    ([dy], [x, filter], { strides, pad, dilations, dimRoundingMode }) => ({
      x: () =>
        run(
          tf.DepthwiseConv2dNativeBackpropInput,
          { dy: dy!, filter: filter! },
          { strides, pad, dilations, dimRoundingMode, inputShape: x!.shape },
        ),
      filter: () =>
        run(
          tf.DepthwiseConv2dNativeBackpropFilter,
          { x: x!, dy: dy! },
          { strides, pad, dilations, dimRoundingMode, filterShape: filter!.shape },
        ),
    }),
  ),
};
