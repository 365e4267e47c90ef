import { benchConfig, trainingStep } from '../../packages/torch/bench/step';
import { useBackend } from '../backend';
import { serve, timed } from '../serve';

const [name, precision = 'float32'] = process.argv.slice(2);
const { about } = await useBackend(name!, precision);
const losses: number[] = [];
await serve(
  {
    [precision]: timed(() => {
      const step = trainingStep(benchConfig, 16);
      return () => losses.push(step());
    }),
  },
  { about, check: () => losses.slice(0, 3) },
);
