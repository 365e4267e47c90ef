// Runs a task of this workspace on a machine that has only Node and npm: brings in pnpm at the version that
// package.json pins, installs with the frozen lockfile where that has not been done, and runs the task.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const stamp = resolve(root, 'node_modules/.cache/installed-lockfile');
const { packageManager } = JSON.parse(readFileSync(resolve(root, 'package.json'), 'utf8'));

const tasks = {
  quickstart: ['node', ['--import', 'tsx', 'examples/quickstart/src/main.ts']],
  'test:all': ['node', ['node_modules/vitest/vitest.mjs', 'run']],
};

const [name, ...rest] = process.argv.slice(2);
const task = tasks[name];
if (!task) {
  console.error(`bootstrap: unknown task ${name}, expected one of ${Object.keys(tasks).join(', ')}`);
  process.exit(2);
}

const run = (command, args) => {
  const { status, signal, error } = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32' && command === 'npx',
  });
  if (error) console.error(`bootstrap: cannot run ${command}: ${error.message}`);
  return signal === 'SIGINT' ? 130 : (status ?? 1);
};

const lockfile = createHash('sha256')
  .update(readFileSync(resolve(root, 'pnpm-lock.yaml')))
  .digest('hex');
const installed = existsSync(stamp) && readFileSync(stamp, 'utf8') === lockfile;
if (!installed) {
  const status = run('npx', [
    '--yes',
    packageManager,
    'install',
    '--frozen-lockfile',
    '--config.confirmModulesPurge=false',
  ]);
  if (status !== 0) process.exit(status);
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, lockfile);
}

// Ctrl-C reaches the task through the terminal's process group; it decides how to stop.
process.on('SIGINT', () => {});
process.exit(run(task[0], [...task[1], ...rest]));
