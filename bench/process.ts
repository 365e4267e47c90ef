import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Participant } from './suite';

/** A participant at work. */
export interface Measuring {
  readonly cases: readonly string[];
  /** What it runs on, in words: versions and threads. */
  readonly about: string;
  /** One measurement of a case, or of `#peak`. @throws Error with what the participant said went wrong */
  measure(name: string): Promise<number>;
  /** Numbers by which it is told whether participants do the same work; none where it gives none. */
  check(): Promise<readonly number[]>;
  end(): void;
}

interface Answer {
  readonly cases?: string[];
  readonly about?: string;
  readonly value?: number;
  readonly check?: number[];
  readonly error?: string;
}

/** What steers the libraries that are measured, by its beginning. */
const steering = /^(OPENBLAS|NVPL|MKL|BLIS|GOTO|OMP|KMP|GOMP|MALLOC|ATEN|ONEDNN|DNNL|TORCH|TF)_|^GLIBC_TUNABLES$/;

/** The environment without what steers libraries: all run as they come, with the threads and kernels that they choose. */
export const plainEnvironment = (environment: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(environment).filter(([name]) => !steering.test(name)));

/**
 * Starts a participant's process.
 *
 * @param options `minutes` that an answer may take; default 10
 * @throws Error when it ends before it announces its cases
 */
export async function start(
  { script, args = [], environment = {} }: Participant,
  { python, inputs, minutes = 10 }: { python: string; inputs?: string; minutes?: number },
): Promise<Measuring> {
  const file = fileURLToPath(new URL(script, import.meta.url));
  const [command, before] = file.endsWith('.py') ? [python, []] : [process.execPath, ['--import', 'tsx']];
  const child = spawn(command, [...before, file, ...args], {
    env: { ...plainEnvironment(), ...environment, ...(inputs && { BENCH_INPUTS: inputs }) },
  });
  // What goes wrong with it shows in that it does not answer.
  child.on('error', () => {});
  child.stdin.on('error', () => {});
  let complaint = '';
  createInterface({ input: child.stderr }).on('line', (line) => {
    if (/error/i.test(line)) complaint = `: ${line.trim()}`;
    console.error(line);
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const name = [script, ...args].join(' ');
  const answer = async (minutes: number): Promise<Answer> => {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, minutes * 60_000);
    try {
      for (;;) {
        const { value, done } = await lines.next();
        if (done) throw new Error(late ? `${name} did not answer in ${minutes} minutes` : `${name} ended${complaint}`);
        // Libraries print what they like; answers are objects.
        if (value.startsWith('{')) return JSON.parse(value) as Answer;
      }
    } finally {
      clearTimeout(timer);
    }
  };
  const ask = (line: string) => {
    child.stdin.write(`${line}\n`);
    return answer(minutes);
  };
  const { cases = [], about = '' } = await answer(10);
  return {
    cases,
    about,
    async measure(line) {
      const { value, error } = await ask(line);
      if (value === undefined) throw new Error(error);
      return value;
    },
    async check() {
      const { check, error } = await ask('#check');
      if (!check) throw new Error(error);
      return check;
    },
    end: () => child.stdin.end(),
  };
}
