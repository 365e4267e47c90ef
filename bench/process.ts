import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Participant } from './suite';

/** A participant at work. */
export interface Measuring {
  readonly cases: readonly string[];
  /** One measurement of a case, or of `#peak`. @throws Error with what the participant said went wrong */
  measure(name: string): Promise<number>;
  end(): void;
}

/** Starts a participant's process. @throws Error when it ends before it announces its cases */
export async function start(
  { script, args = [] }: Participant,
  python: string,
  environment: NodeJS.ProcessEnv = {},
): Promise<Measuring> {
  const file = fileURLToPath(new URL(script, import.meta.url));
  const [command, before] = file.endsWith('.py') ? [python, []] : [process.execPath, ['--import', 'tsx']];
  const child = spawn(command, [...before, file, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...environment },
  });
  child.on('error', () => {});
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async () => {
    for (;;) {
      const { value, done } = await lines.next();
      if (done) throw new Error(`${script} ${args.join(' ')} ended`);
      // Libraries print what they like; answers are objects.
      if (value.startsWith('{')) return JSON.parse(value) as { cases?: string[]; value?: number; error?: string };
    }
  };
  return {
    cases: (await answer()).cases ?? [],
    async measure(name) {
      child.stdin.write(`${name}\n`);
      const { value, error } = await answer();
      if (value === undefined) throw new Error(error);
      return value;
    },
    end: () => child.stdin.end(),
  };
}
