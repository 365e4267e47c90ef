import { Command } from 'commander';
import { diagnose } from './setup/doctor';
import { setup } from './setup/setup';

const say = (line: string) => console.log(line);
const program = new Command('cm-torch').description('Sets up libtorch for the TensorFlow.js backend of @cm/torch.');

program
  .command('setup')
  .description('find or fetch libtorch, compile the addon for it, test it')
  .option('--cpu', 'for the CPU alone, even where there is a GPU')
  .option('--cuda', 'with CUDA, even where no GPU is seen')
  .option('--libtorch <folder>', 'a libtorch: a folder with include/ and lib/')
  .option('--python <path>', 'a Python interpreter that has torch')
  .action(async (options: { cpu?: boolean; cuda?: boolean; libtorch?: string; python?: string }) => {
    if (options.cpu && options.cuda) throw new Error('--cpu and --cuda exclude each other');
    const cuda = options.cpu ? false : options.cuda;
    await setup({ ...options, ...(cuda !== undefined && { cuda }) }, say);
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
  console.error(`cm-torch: ${error.message}`);
  process.exitCode = 1;
});
