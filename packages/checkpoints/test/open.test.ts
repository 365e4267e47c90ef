import { fileURLToPath } from 'node:url';
import { openCheckpoint as openFile } from '@cm/checkpoints/node';
import { describe, expect, it } from 'vitest';
import {
  CheckpointError,
  CheckpointTensor,
  fromFloat32,
  openCheckpoint,
  readSafetensors,
  tensorsOf,
  toFloat32,
  writeTorchStateDict,
} from '../src';
import { openSource } from '../src/open';
import { fixture, numbers } from './files';
import { bytesOfParts, int32 } from './pickles';

const network = readSafetensors(fixture('edm2-snapshot.expected.safetensors'));
const count = Array.from({ length: 24 }, (_, i) => i);

describe("NVIDIA's snapshot of a network", () => {
  const { format, tensors, root, metadata, init, tree } = openCheckpoint(fixture('edm2-snapshot.pkl'));

  it('has every tensor of the network under its own name, bit for bit', () => {
    expect(format).toBe('pickle');
    expect(root).toBe('ema');
    expect(Object.keys(tensors).sort()).toEqual(Object.keys(network.tensors).sort());
    for (const [name, tensor] of Object.entries(tensors)) {
      expect(tensor.shape.length === 0 ? [1] : tensor.shape, name).toEqual(network.tensors[name]!.shape);
      expect(numbers(tensor), name).toEqual(numbers(network.tensors[name]!));
    }
    expect(tensors['unet.out_conv.weight']!.dtype).toBe('F16');
  });

  it('says what the network was constructed with, and what lies beside it', () => {
    expect(init?.className).toBe('Precond');
    expect({ ...init?.kwargs }).toEqual(JSON.parse(network.metadata.init_kwargs!));
    expect(metadata).toMatchObject({ dataset_kwargs: { path: 'img64.zip', use_labels: true }, slope: 0.1 });
  });

  it('is held once: tensors are views into the file', () => {
    const bytes = fixture('edm2-snapshot.pkl');
    for (const tensor of Object.values(openCheckpoint(bytes).tensors)) expect(tensor.data.buffer).toBe(bytes.buffer);
  });

  it('has what a state dictionary has: parameters and persistent buffers, of containers too', () => {
    const { tensors, init, metadata } = openCheckpoint(fixture('tiny-snapshot.pkl'));
    // An encoder's own arrays are no tensors of the network.
    expect(metadata.encoder).toMatchObject({ className: 'StandardRGBEncoder', state: { scale: { shape: [2] } } });
    expect(init).toMatchObject({ className: 'Precond', kwargs: { img_resolution: 8 } });
    expect(Object.keys(tensors)).toEqual([
      'model.weight',
      'model.frequencies',
      'blocks.8x8.0.weight',
      'blocks.8x8.0.bias',
    ]);
    const { tensors: inner, init: linear } = openCheckpoint(fixture('tiny-snapshot.pkl'), { at: 'ema.model' });
    expect(Object.keys(inner)).toEqual(['weight', 'frequencies']);
    expect(linear).toMatchObject({ className: 'Linear', args: [3, 4] });
    expect(numbers(inner.frequencies!)).toEqual([0, 1, 2, 3]);
  });

  it('opens from disk as from memory', async () => {
    const path = fileURLToPath(new URL('fixtures/edm2-snapshot.pkl', import.meta.url));
    expect((await openFile(path)).tree).toEqual(tree);
    await expect(openFile(fileURLToPath(new URL('fixtures/make.py', import.meta.url)))).rejects.toThrow(
      /make\.py: file of \d+ bytes begins with 22 22 22 57, expected safetensors/,
    );
  });
});

describe("Python 2's string", () => {
  it.each([300, 2 ** 24 + 1])('of %i bytes is text, or bytes where it is too long for one', (length) => {
    const { tree } = openCheckpoint(bytesOfParts(0x80, 2, 'T', int32(length), new Uint8Array(length).fill(0xe9), '.'));
    if (length < 2 ** 24) expect(tree).toBe('é'.repeat(length));
    else {
      expect(tree).toBeInstanceOf(Uint8Array);
      expect([(tree as Uint8Array).length, (tree as Uint8Array)[length - 1]]).toEqual([length, 0xe9]);
    }
  });
});

describe('an archive', () => {
  it.each(['state-zip.pt', 'types.pt', 'statistics.npz', 'statistics-compressed.npz'])(
    '%s on disk has the tensors that it has in memory',
    async (name) => {
      const [inMemory, onDisk] = [
        openCheckpoint(fixture(name)),
        await openFile(fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))),
      ];
      expect(Object.keys(onDisk.tensors)).toEqual(Object.keys(inMemory.tensors));
      for (const [key, { dtype, shape, data }] of Object.entries(inMemory.tensors)) {
        expect({ ...onDisk.tensors[key]!, data: [...onDisk.tensors[key]!.data] }, key).toEqual({
          dtype,
          shape,
          data: [...data],
        });
      }
    },
  );

  it('is read where its tensors are described, then where one lies', () => {
    const values = new Uint8Array(1 << 20);
    const file = writeTorchStateDict({
      a: { dtype: 'F32', shape: [512, 512], data: values },
      b: { dtype: 'U8', shape: [2], data: Uint8Array.of(1, 2) },
    });
    let bytesRead = 0;
    const read = (begin: number, end: number) => {
      bytesRead += end - begin;
      return file.subarray(begin, end);
    };
    const { tensors } = openSource({ size: file.length, read }, {});
    // The end of an archive, where its directory may be, is 64 kB.
    expect(bytesRead).toBeLessThan(70_000);
    bytesRead = 0;
    expect([...tensors.b!.data]).toEqual([1, 2]);
    expect(bytesRead).toBe(2);
    expect(tensors.a!.data.length).toBe(1 << 20);
    expect(bytesRead).toBe(2 + (1 << 20));
  });
});

describe('a PyTorch file', () => {
  it.each(['state-zip.pt', 'state-legacy.pth'])('%s has the network, and what lies beside it', (name) => {
    const { tensors, root, metadata } = openCheckpoint(fixture(name));
    expect(root).toBe('state');
    expect(metadata).toEqual(Object.assign(Object.create(null), { step: 3, lr: 0.001 }));
    expect(Object.keys(tensors).sort()).toEqual(Object.keys(network.tensors).sort());
    for (const [key, tensor] of Object.entries(tensors)) {
      expect(tensor.dtype).toBe('F32');
      // The snapshot has the same network rounded to sixteen bits.
      const rounded = toFloat32(fromFloat32(Float32Array.from(numbers(tensor)), 'F16'), 'F16');
      const expected = numbers(network.tensors[key]!);
      expect([Array.from(rounded), numbers(tensor)], key).toContainEqual(expected);
    }
  });

  it('of either kind has the same bits', () => {
    const [zip, legacy] = ['state-zip.pt', 'state-legacy.pth'].map((name) => openCheckpoint(fixture(name)).tensors);
    for (const name of Object.keys(zip!)) {
      expect(new Uint8Array(zip![name]!.data), name).toEqual(new Uint8Array(legacy![name]!.data));
    }
  });

  it('has tensors of every type, and views of others', () => {
    const { tensors } = openCheckpoint(fixture('types.pt'));
    const third = count.map((i) => Math.fround(i / 3));
    expect(numbers(tensors.float64!)).toEqual(third);
    expect(numbers(tensors.float32!)).toEqual(third);
    for (const name of ['float16', 'bfloat16']) {
      expect(tensors[name]!.shape).toEqual([2, 3, 4]);
      for (const [i, value] of numbers(tensors[name]!).entries()) expect(value).toBeCloseTo(i / 3, 1);
    }
    for (const name of ['int64', 'int32', 'int16', 'int8']) {
      expect(numbers(tensors[name]!), name).toEqual(count.map((i) => i - 12));
    }
    expect(numbers(tensors.uint8!)).toEqual(count);
    expect(numbers(tensors.bool!)).toEqual(count.map((i) => Number(i > 11)));
    expect([tensors.uint16!.dtype, ...numbers(tensors.uint16!)]).toEqual(['U16', 0, 1, 2]);
    expect([tensors.scalar!.shape, numbers(tensors.scalar!)]).toEqual([[], [2.5]]);
    expect([tensors.empty!.shape, numbers(tensors.empty!)]).toEqual([[0, 4], []]);
    expect(tensors.transposed!.shape).toEqual([4, 2, 3]);
    expect(numbers(tensors.transposed!)).toEqual(
      [0, 1, 2, 3].flatMap((k) => [0, 1].flatMap((i) => [0, 1, 2].map((j) => 12 * i + 4 * j + k))),
    );
    expect(numbers(tensors.slice!)).toEqual([13, 14, 17, 18, 21, 22]);
    expect(numbers(tensors.expanded!)).toEqual([1, 2, 1, 2, 1, 2]);
    expect(numbers(tensors.parameter!)).toEqual(count.slice(0, 12));
  });

  it.each(['training.pth', 'training-legacy.pth'])('%s of a training loop is a tree', (name) => {
    const { tree, tensors, root, metadata } = openCheckpoint(fixture(name));
    expect(root).toBe('');
    expect(metadata).toMatchObject({
      iteration: 7,
      dtype: 'torch.float16',
      size: [2, 3],
      device: 'cuda:1',
      seed: 2n ** 70n,
      bytes: Uint8Array.of(0, 255),
      names: ['a'],
      pair: [1, null],
    });
    expect(tensors['model.net.0.weight']!.shape).toEqual([2, 3]);
    expect(numbers(tensors['optimizers.net.state.0.step']!)).toEqual([1]);
    expect(tree).toMatchObject({ optimizers: { net: { param_groups: [{ lr: 0.001, params: [0, 1, 2, 3] }] } } });

    const part = openCheckpoint(fixture(name), { at: 'model.net' });
    expect(Object.keys(part.tensors)).toEqual([
      '0.weight',
      '0.bias',
      '1.weight',
      '1.bias',
      '1.running_mean',
      '1.running_var',
      '1.num_batches_tracked',
    ]);
    expect(() => openCheckpoint(fixture(name), { at: 'model.nothing' })).toThrow(
      'nothing is at "model.nothing"; below "model" are ["net"]',
    );
  });
});

describe('a pickle of NumPy values', () => {
  it.each([2, 4, 5])('of protocol %i has arrays and numbers', (protocol) => {
    const { tree } = openCheckpoint(fixture(`numpy-${protocol}.pkl`));
    expect(tree).toMatchObject({ float: 0.1, half: 0.5, long: 2 ** 40, truth: true });
    const tensors = tensorsOf(tree);
    expect(numbers(tensors.array!)).toEqual([0, 1, 2, 3, 4, 5]);
    expect([tensors.fortran!.shape, numbers(tensors.fortran!)]).toEqual([
      [2, 3],
      [0, 1, 2, 3, 4, 5],
    ]);
    expect(numbers(tensors.big!)).toEqual([0, 1, 2]);
    expect(numbers(tensors['list.0']!)).toEqual([1, 1]);
  });
});

describe('safetensors', () => {
  it('open like the others', () => {
    const { format, tensors, metadata, root } = openCheckpoint(fixture('edm2-snapshot.expected.safetensors'));
    expect([format, root, metadata]).toEqual(['safetensors', '', network.metadata]);
    expect(tensors['unet.out_gain']).toBeInstanceOf(CheckpointTensor);
    expect(numbers(tensors['unet.out_gain']!)).toEqual(numbers(network.tensors['unet.out_gain']!));
  });
});

it.each(['nothing', '\u0000'.repeat(20), ''])('a file in no format (%j) is refused', (content) => {
  expect(() => openCheckpoint(new TextEncoder().encode(content))).toThrow(CheckpointError);
});
