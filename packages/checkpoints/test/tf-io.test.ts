import { expectNoLeak, onEveryBackend } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { CheckpointError, fromTensors, loadTensors, safetensorsHandler, saveTensors, writeSafetensors } from '../src';

/** A handler that keeps what is saved, as IndexedDB does. */
function memory(): tf.io.IOHandler {
  let kept: tf.io.ModelArtifacts | undefined;
  return {
    save: async (artifacts) => {
      kept = structuredClone(artifacts);
      return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } };
    },
    load: async () => kept!,
  };
}

const address = (bytes: Uint8Array) => `data:application/octet-stream;base64,${Buffer.from(bytes).toString('base64')}`;

onEveryBackend(() => {
  describe("weights in tf.io's handlers", () => {
    it('come back bit for bit, of every type, with their metadata, and leave no tensors', async () => {
      const tensors = {
        weight: tf.tensor2d([
          [1.5, -0],
          [Number.MIN_VALUE, 3e38],
        ]),
        labels: tf.tensor1d([1, -7], 'int32'),
        mask: tf.tensor1d([true, false], 'bool'),
        empty: tf.zeros([0, 3]),
      };
      await expectNoLeak(async () => {
        const handler = memory();
        await saveTensors(tensors, handler, { step: '3' });
        const loaded = await loadTensors(handler);
        expect(loaded.metadata).toEqual({ step: '3' });
        expect(Object.keys(loaded.tensors)).toEqual(Object.keys(tensors));
        for (const [name, tensor] of Object.entries(tensors)) {
          const { dtype, shape } = loaded.tensors[name]!;
          expect({ dtype, shape }).toEqual({ dtype: tensor.dtype, shape: tensor.shape });
          expect(loaded.tensors[name]!.dataSync()).toEqual(tensor.dataSync());
        }
        tf.dispose(loaded.tensors);
      });
      tf.dispose(tensors);
    });

    it('are fetched from a safetensors file, half precision as float32', async () => {
      const weight = tf.tensor1d([0.5, 1, 65504]);
      const file = writeSafetensors(fromTensors({ weight }, { dtype: 'F16' }), { config: '{}' });
      await expectNoLeak(async () => {
        const { tensors, metadata } = await loadTensors(safetensorsHandler(address(file)));
        expect(metadata).toEqual({ config: '{}' });
        expect(tensors.weight!.dtype).toBe('float32');
        expect(tensors.weight!.dataSync()).toEqual(Float32Array.of(0.5, 1, 65504));
        tf.dispose(tensors);
      });
      weight.dispose();
    });
  });
});

describe('what cannot be loaded or saved', () => {
  it('is named', async () => {
    await expect(saveTensors({}, 'nowhere://model')).rejects.toThrow(
      "saveTensors: to is 'nowhere://model', expected what a handler saves to",
    );
    await expect(loadTensors('nowhere://model')).rejects.toThrow("loadTensors: from is 'nowhere://model'");
    await expect(loadTensors(tf.io.fromMemory({ modelTopology: {} }))).rejects.toThrow('a handler has no weights');
    await expect(loadTensors(safetensorsHandler(address(Uint8Array.of(1, 2))))).rejects.toThrow(CheckpointError);
  });
});
