import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A folder outside the workspace, and commands in it without what pnpm and vitest put into the environment. */
export function strangersFolder(): { folder: string; run: (command: string, ...args: string[]) => string } {
  const folder = mkdtempSync(join(tmpdir(), 'cm-stranger-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(npm_|pnpm_|VITEST|NODE_|TEST$|INIT_CWD)/i.test(name)),
  );
  const run = (command: string, ...args: string[]) => {
    try {
      return execFileSync(command, args, { cwd: folder, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    } catch (error) {
      const { stdout, stderr } = error as { stdout: string; stderr: string };
      throw new Error(`${command} ${args.join(' ')}\n${stdout}\n${stderr}`);
    }
  };
  return { folder, run };
}
