import { Command } from 'commander';
import { diagnose } from './setup/doctor';
import { type SetupOptions, setup } from './setup/setup';

const say = (line: string) => console.log(line);
const program = new Command('cm-tfjs-node').description('Sets up a current TensorFlow for the backend of tfjs-node.');

program
  .command('setup')
  .description("find or fetch TensorFlow, build tfjs-node's binding for it, test it")
  .option('--cpu', 'for the CPU alone, even where there is a GPU')
  .option('--gpu', 'with CUDA, even where no GPU is seen')
  .option('--python <path>', 'a Python interpreter that has tensorflow')
  .option('--wheel <path>', 'a wheel of tensorflow or tensorflow-cpu')
  .action(async ({ cpu, gpu, ...where }: { cpu?: boolean; gpu?: boolean } & Omit<SetupOptions, 'gpu'>) => {
    if (cpu && gpu) throw new Error('--cpu and --gpu exclude each other');
    if (where.python && where.wheel) throw new Error('--python and --wheel exclude each other');
    await setup({ ...where, ...((cpu || gpu) && { gpu: Boolean(gpu) }) }, say);
  });

program
  .command('doctor')
  .description('say what is there and what is missing')
  .action(() => {
    const { lines, usable } = diagnose();
    for (const line of lines) say(line);
    process.exitCode = usable ? 0 : 1;
  });

program.parseAsync().catch((error: Error) => {
  console.error(`cm-tfjs-node: ${error.message}`);
  process.exitCode = 1;
});
