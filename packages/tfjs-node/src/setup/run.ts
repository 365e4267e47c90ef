import { execFileSync, spawnSync } from 'node:child_process';

/** What a command prints. Its errors go to the terminal. */
export const run = (command: string, args: readonly string[], cwd?: string): string =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], ...(cwd && { cwd }) });

/** Whether a command is there and succeeds. */
export const runs = (command: string, args: readonly string[]): boolean =>
  spawnSync(command, args, { stdio: 'ignore' }).status === 0;
