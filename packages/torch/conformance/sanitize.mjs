// Runs the conformance suite and this package's tests with the addon compiled under AddressSanitizer and UndefinedBehaviorSanitizer: every
// read or write outside of what was allocated, or after it was freed, ends the run with its place. Takes minutes; needs g++.
import { execFileSync, spawnSync } from 'node:child_process';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = join(here, '../../..');
const runtime = (name) => execFileSync('g++', [`-print-file-name=${name}`], { encoding: 'utf8' }).trim();
const env = {
  ...process.env,
  // A place of its own beside the usual one, with the libtorch that the usual one found or brought.
  CM_TORCH_HOME: join(homedir(), '.cache/cm-torch-sanitized'),
  CXXFLAGS: '-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer',
  LD_PRELOAD: `${runtime('libasan.so')} ${runtime('libubsan.so')}`,
  // V8's and libtorch's own memory lives to the end of the process. A test asks for more than there is.
  ASAN_OPTIONS: 'detect_leaks=0,alloc_dealloc_mismatch=0,allocator_may_return_null=1',
};
const usual = join(process.env.CM_TORCH_HOME ?? join(homedir(), '.cache/cm-torch'), 'python/torch');
const commands = [
  ['npx', ['tsx', 'packages/torch/src/cli.ts', 'setup', '--cpu', '--libtorch', process.argv[2] ?? usual]],
  ['node', ['packages/torch/conformance/run.mjs']],
  ['npx', ['vitest', 'run', 'packages/torch', '--pool=forks', '--testTimeout=600000']],
];
for (const [command, args] of commands) {
  const { status } = spawnSync(command, args, { cwd: root, env, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
