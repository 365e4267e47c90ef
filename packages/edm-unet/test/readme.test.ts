import { fromTensors } from '@cm/checkpoints';
import { key } from '@cm/random';
import { onEveryBackend, runReadmeExamples } from '@cm/testing';
import { expect, it, vi } from 'vitest';
import { edmArguments, initEdm, songUNetConfig, toCheckpoint } from '../src';

// In place of the published file: what is in a file of the same kind, of a tiny network.
vi.mock('@cm/checkpoints/node', () => ({
  openCheckpoint: async () => {
    const config = songUNetConfig({
      resolution: 8,
      modelChannels: 8,
      channelMult: [1],
      numBlocks: 1,
      attnResolutions: [],
    });
    const params = initEdm(config, key(0));
    return { init: edmArguments(config), tensors: fromTensors(toCheckpoint(config, params)) };
  },
}));

onEveryBackend(() => {
  it("runs the README's examples", async () => {
    const printed = await runReadmeExamples(new URL('../README.md', import.meta.url));
    expect(printed).toEqual([[55_733_891], [[2, 8, 8, 3]], [[1, 8, 8, 3]]]);
  });
});
