import '@tensorflow/tfjs-backend-cpu';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { configureTorch, isInstalled, type Precision } from '@cm/torch';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { TorchBackend } from '../src/backend';
import { installation } from '../src/installation';

// Arithmetic is the business of tfjs-core's conformance suite (conformance/run.mjs); this is about what is the backend's own.
describe.skipIf(!isInstalled())('the torch backend (left out where `cm-torch setup` has not been run)', () => {
  beforeAll(async () => {
    await tf.setBackend('torch');
  });
  afterEach(() => {
    configureTorch({});
  });
  const backend = () => tf.backend() as TorchBackend;
  const tensorsHeld = () => backend().numbers(4, 'memory')[0]!;

  it.each(['float32', 'int32', 'bool'] as const)('gives %s values back as they came', (dtype) => {
    const values = dtype === 'bool' ? [1, 0, 1, 1, 0, 1] : [1, -2, 3, 0, 5, 6];
    const x = tf.tensor2d(values, [2, 3], dtype);
    expect([...x.dataSync()]).toEqual(values);
    expect(x.dtype).toBe(dtype);
  });

  it('holds tensors without values, and scalars', () => {
    expect(tf.concat([tf.zeros([0, 3]), tf.zeros([0, 3])]).shape).toEqual([0, 3]);
    expect(tf.add(tf.scalar(1), tf.scalar(2)).dataSync()[0]).toBe(3);
  });

  it('frees memory at dispose', () => {
    const before = tensorsHeld();
    const x = tf.ones([64, 64]);
    const y = tf.matMul(x, x);
    expect(tensorsHeld()).toBe(before + 2);
    const z = tf.reshape(y, [4096]);
    y.dispose();
    expect(z.dataSync()[0]).toBe(64);
    tf.dispose([x, z]);
    expect(tensorsHeld()).toBe(before);
  });

  it('frees the memory of tensors that are forgotten', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const torch = backend();
    const before = tensorsHeld();
    // Made beside tfjs's engine, which keeps its own tensors until they are disposed.
    for (let i = 0; i < 100; i++) torch.make(new Float32Array(1000), [1000], 'float32');
    expect(tensorsHeld()).toBe(before + 100);
    for (let round = 0; round < 20 && tensorsHeld() > before; round++) {
      collect();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(tensorsHeld()).toBeLessThanOrEqual(before);
  });

  it('holds no more after many steps than after one', () => {
    const x = tf.randomUniform([8, 16, 16, 8]) as tf.Tensor4D;
    const w = tf.randomUniform([3, 3, 8, 8]) as tf.Tensor4D;
    const step = () => tf.tidy(() => tf.mean(tf.relu(tf.conv2d(x, w, 1, 'same'))).dataSync()[0]!);
    step();
    const [handles, , , mapped] = backend().numbers(4, 'memory');
    for (let i = 0; i < 200; i++) step();
    const after = backend().numbers(4, 'memory');
    expect(after[0]).toBe(handles);
    expect(after[3]).toBe(mapped);
  });

  it("turns libtorch's errors into errors that name the kernel and the shapes", () => {
    const [a, b] = [tf.ones([2, 3]), tf.ones([2, 4])];
    const multiply = () => backend().call('Multiply', a, b);
    expect(multiply).toThrow(/^Multiply: .*size of tensor.*given float32 \[2,3\], float32 \[2,4\]/s);
    expect(() => backend().call('Nothing')).toThrow('the addon has no kernel Nothing');
    expect(tf.add(a, 1).dataSync()[0]).toBe(2);
  });

  it('says how much memory was asked for when there is not enough', () => {
    expect(() => tf.fill([2 ** 20, 2 ** 20, 64], 1)).toThrow(/out of memory: cannot allocate \d+ bytes/);
    expect(tf.ones([2]).dataSync()[1]).toBe(1);
  });

  it('refuses a tensor that has been disposed', () => {
    const { dataId } = tf.ones([2]);
    backend().disposeData(dataId, true);
    expect(() => backend().readSync(dataId)).toThrow('the tensor has been disposed');
  });

  it("leaves what is rare to tfjs's CPU backend", () => {
    const { values, indices } = tf.unique(tf.tensor1d([3, 1, 3, 2]));
    expect([...values.dataSync()]).toEqual([3, 1, 2]);
    expect([...indices.dataSync()]).toEqual([0, 1, 0, 2]);
    expect(tf.slice(tf.tensor1d(['a', 'b', 'c']), [1], [2]).dataSync()).toEqual(['b', 'c']);
  });

  it('computes products in bfloat16 where asked, with float32 at the surface', () => {
    const a = tf.randomNormal([64, 64], 0, 1, 'float32', 1);
    const exact = tf.matMul(a, a);
    configureTorch({ precision: 'bfloat16' });
    const rounded = tf.matMul(a, a);
    const error = tf.max(tf.abs(tf.sub(exact, rounded))).dataSync()[0]!;
    expect(rounded.dtype).toBe('float32');
    // Factors are rounded where the processor multiplies bfloat16, and only there.
    expect(error > 0).toBe(installation().instructions.includes('avx512bf16'));
    expect(error).toBeLessThan(0.5);
  });

  it('holds images in bfloat16 between kernels where that is the precision, whichever way they are convolved', () => {
    const x = tf.randomNormal([2, 9, 9, 6], 0, 1, 'float32', 1) as tf.Tensor4D;
    const filter = tf.randomNormal([3, 3, 6, 4], 0, 1, 'float32', 2) as tf.Tensor4D;
    const run = (precision: Precision) => {
      configureTorch({ precision });
      const transposed = tf.conv2dTranspose(x, tf.transpose(filter, [0, 1, 3, 2]), [2, 18, 18, 4], 2, 'same');
      return [tf.conv2d(x, filter, 2, 'same'), tf.depthwiseConv2d(x, filter, 1, 'valid'), transposed];
    };
    const exact = run('float32');
    run('bfloat16').forEach((images, i) => {
      const values = images.dataSync() as Float32Array;
      expect(new Uint32Array(new Float32Array(values).buffer).every((bits) => bits << 16 === 0)).toBe(true);
      expect(tf.norm(tf.sub(images, exact[i]!)).dataSync()[0]! / tf.norm(exact[i]!).dataSync()[0]!).toBeLessThan(0.01);
    });
  });

  it('gives the same bits every time in deterministic mode', () => {
    configureTorch({ deterministic: true });
    const x = tf.randomNormal([4, 16, 16, 8], 0, 1, 'float32', 2) as tf.Tensor4D;
    const dy = tf.randomNormal([4, 16, 16, 8], 0, 1, 'float32', 3) as tf.Tensor4D;
    const gradient = () =>
      tf.engine().runKernel(tf.Conv2DBackpropFilter, { x, dy }, {
        strides: 1,
        pad: 'same',
        dataFormat: 'NHWC',
        filterShape: [3, 3, 8, 8],
      } as unknown as tf.NamedAttrMap) as tf.Tensor;
    expect(gradient().dataSync()).toEqual(gradient().dataSync());
  });

  it.each([
    [{ device: 'gpu' as 'cuda' }, /device is gpu, expected 'cpu', 'cuda' or 'cuda:<number>'/],
    [{ precision: 'float16' as 'float32' }, /precision is float16, expected one of float32, tf32, bfloat16/],
    [{ threads: 0 }, /threads is 0, expected a whole number from 1/],
  ])('refuses %o', (options, message) => {
    expect(() => configureTorch(options)).toThrow(message);
  });
});
