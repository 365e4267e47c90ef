import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readSafetensors } from '@cm/checkpoints';
import { frechetDistance } from '@cm/fid';
import { serve, timed } from '../serve';

const { tensors } = readSafetensors(readFileSync(join(process.env.BENCH_INPUTS!, 'distance.safetensors')));
const values = (name: string) => new Float64Array(Uint8Array.from(tensors[name]!.data).buffer);
const [a, b] = [1, 2].map((seed) => ({ mean: values(`mean${seed}`), covariance: values(`covariance${seed}`) }));
let found = Number.NaN;
const distance = () => {
  found = frechetDistance(a!, b!);
};
await serve({ distance: timed(() => distance, { warm: true }) }, { check: () => [found] });
