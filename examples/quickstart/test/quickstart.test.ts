import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const root = fileURLToPath(new URL('../../..', import.meta.url));
const small = ['--steps', '6', '--batch-size', '8', '--samples', '100'];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'quickstart-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function start(args: string[], onOutput: (text: string, child: ChildProcess) => void = () => {}) {
  const child = spawn(process.execPath, ['--import', 'tsx', main, ...args], { cwd: root });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data) => {
      output += data;
      onOutput(output, child);
    });
  }
  return new Promise<{ code: number | null; output: string }>((resolve) =>
    child.on('close', (code) => resolve({ code, output })),
  );
}

const result = (out: string, job: string) => {
  // The rate is a measurement, all else is a function of the settings.
  const { imagesPerSecond: _, ...values } = JSON.parse(readFileSync(join(out, job, 'result.json'), 'utf8'));
  return values;
};

describe('the quickstart', () => {
  it('tunes by both methods, writes pictures and a report, and prints the distances', {
    timeout: 240_000,
  }, async () => {
    const out = join(folder, 'whole');
    const { code, output } = await start(['--out', out, ...small]);
    expect(output).toMatch(/ECT .*\d/);
    expect(output).toMatch(/SCT .*\d/);
    expect(code).toBe(0);
    const report = readFileSync(join(out, 'report.html'), 'utf8');
    expect(report.match(/data:image\/png/g)).toHaveLength(3 + 3 + 4);
    expect(report.match(/<svg/g)).toHaveLength(2);
    expect(readFileSync(join(out, 'sct/1-step.png')).subarray(1, 4).toString()).toBe('PNG');
    expect(result(out, 'ect').curve.map(({ step }: { step: number }) => step)).toEqual([0, 6]);
  });

  it('stopped by an interrupt, continues to the bits of a run that was not stopped', { timeout: 240_000 }, async () => {
    const out = join(folder, 'stopped');
    let sent = false;
    const first = await start(['--out', out, ...small], (text, child) => {
      if (!sent && /tuning [1-4]\/6/.test(text)) {
        sent = true;
        child.kill('SIGINT');
      }
    });
    expect(first.output).toContain('The same command continues');
    expect(first.code).toBe(130);
    const second = await start(['--out', out, ...small]);
    expect(second.code).toBe(0);
    for (const job of ['ect', 'sct']) expect(result(out, job)).toEqual(result(join(folder, 'whole'), job));
  });

  it('refuses a folder that holds a run of other settings', async () => {
    const { code, output } = await start(['--out', join(folder, 'whole'), '--steps', '7']);
    expect(code).toBe(1);
    expect(output).toContain('holds a run with other settings');
  });

  it('says in one line which file is missing or corrupt', { timeout: 240_000 }, async () => {
    const missing = await start(['--out', join(folder, 'a'), '--start', join(folder, 'nowhere.safetensors'), ...small]);
    expect(missing.code).toBe(1);
    expect(missing.output).toContain('nowhere.safetensors');
    const corrupt = join(folder, 'corrupt.safetensors');
    writeFileSync(corrupt, 'not a model');
    const { code, output } = await start(['--out', join(folder, 'b'), '--start', corrupt, ...small]);
    expect(code).toBe(1);
    expect(
      output
        .trim()
        .split('\n')
        .filter((line) => line.startsWith('quickstart:')),
    ).toHaveLength(1);
    expect(output).toContain('corrupt.safetensors');
  });

  it('explains its options', async () => {
    const { code, output } = await start(['--help']);
    expect(code).toBe(0);
    for (const option of ['--out', '--methods', '--steps', '--seed', '--fresh']) expect(output).toContain(option);
  });
});
