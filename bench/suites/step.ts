import { benchConfig, trainingStep } from '../../packages/torch/bench/step';
import { useBackend } from '../backend';
import { serve, timed } from '../serve';

await useBackend(process.argv[2]!, process.argv[3]);
await serve({ 'a step': timed(() => trainingStep(benchConfig, 16)) });
