import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type LogSink, logTo, type TrainingError, type TrainingEvent } from '../src';
import { jsonLines, tensorBoard } from '../src/node';
import { readEvents } from './tfevents';

/** Prints every scalar of a folder of event files as TensorBoard's data server of Python has them. */
const READ = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={'scalars': 0})
events.Reload()
print(json.dumps({tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()['scalars']}))
`;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'logs-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const started = (step: number): TrainingEvent => ({ type: 'started', step, images: 8 * step, totalImages: 800 });
const step = (step: number, loss: number): TrainingEvent => ({
  type: 'step',
  step,
  images: 8 * step,
  totalImages: 800,
  loss,
  learningRate: 0.001,
  imagesPerSecond: 100,
  secondsLeft: 1,
  secondsWaited: 0.5,
  bytes: 1e9,
  cleaned: 0,
  stats: { stage: 2, effectiveSampleSize: 3.5 },
});
const evaluated = (step: number, fid: number): TrainingEvent => ({
  type: 'evaluated',
  step,
  images: 8 * step,
  metrics: { fid },
  best: false,
});

async function write(sink: LogSink, ...events: TrainingEvent[]) {
  async function* all() {
    yield* events;
  }
  const passed: TrainingEvent[] = [];
  for await (const event of logTo(all(), sink)) passed.push(event);
  expect(passed).toEqual(events);
}

describe('JSON lines', () => {
  const lines = () =>
    readFileSync(join(folder, 'run', 'log.jsonl'), 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  const log = (every = 1) => jsonLines(join(folder, 'run', 'log.jsonl'), { every });

  it('are the events, with time and memory', async () => {
    await write(log(), started(0), evaluated(0, 90), step(1, 0.5));
    expect(lines()).toMatchObject([evaluated(0, 90), step(1, 0.5)]);
    expect(lines()[1].time).toBeGreaterThan(1.7e9);
    expect(lines()[1].processBytes).toBeGreaterThan(1e6);
  });

  it('have no step twice after training went on from an earlier state', async () => {
    await write(log(), started(0), step(1, 1), step(2, 2), evaluated(2, 9), step(3, 3), step(4, 4));
    appendFileSync(join(folder, 'run', 'log.jsonl'), '{"type":"st');
    await write(log(), started(2), step(3, 30));
    expect(lines().map(({ type, step, loss }) => [type, step, loss])).toEqual([
      ['step', 1, 1],
      ['step', 2, 2],
      ['evaluated', 2, undefined],
      ['step', 3, 30],
    ]);
    await write(log(), started(0), step(1, 7));
    expect(lines()).toMatchObject([{ step: 1, loss: 7 }]);
  });

  it('are those of every so many steps, and of all evaluations', async () => {
    await write(log(2), started(0), step(1, 1), step(2, 2), evaluated(3, 9), step(3, 3), step(4, 4));
    expect(lines().map(({ step }) => step)).toEqual([2, 3, 4]);
  });
});

describe('event files of TensorBoard', () => {
  it('have every scalar, in records whose checksums are right', async () => {
    await write(tensorBoard(folder), started(0), evaluated(0, 90), step(1, 0.5), step(300, 0.25));
    const [file] = readdirSync(folder);
    expect(file).toMatch(/^events\.out\.tfevents\.\d{10}\.\d{3}\./);
    const [version, start, first, ...steps] = readEvents(readFileSync(join(folder, file!)));
    expect(version).toMatchObject({ version: 'brain.Event:2' });
    expect(version!.time).toBeCloseTo(Date.now() / 1000, -2);
    expect(start).toMatchObject({ step: 0, session: 1 });
    expect(first).toMatchObject({ step: 0, scalars: { 'evaluation/fid': 90 } });
    expect(steps).toMatchObject([
      { step: 1, scalars: { 'training/loss': 0.5, 'objective/stage': 2, 'objective/effectiveSampleSize': 3.5 } },
      { step: 300, scalars: { 'training/loss': 0.25, 'training/imagesPerSecond': 100, 'memory/bytes': 1e9 } },
    ]);
    expect(steps[0]!.scalars['training/learningRate']).toBeCloseTo(0.001, 8);
  });

  it('of a process that goes on say which steps of earlier files are void', async () => {
    await write(tensorBoard(folder), started(0), step(1, 1), step(2, 2));
    await new Promise((resolve) => setTimeout(resolve, 5));
    await write(tensorBoard(folder), started(1), step(2, 20));
    const files = readdirSync(folder).sort();
    expect(files).toHaveLength(2);
    const [, start, next] = readEvents(readFileSync(join(folder, files[1]!)));
    expect(start).toMatchObject({ step: 2, session: 1 });
    expect(next).toMatchObject({ step: 2, scalars: { 'training/loss': 20 } });
  });

  // `pip install tensorboard`; CM_PYTHON names a Python that has it.
  const python = process.env.CM_PYTHON ?? 'python3';
  it.runIf(spawnSync(python, ['-c', 'import tensorboard']).status === 0)(
    'are read by TensorBoard itself, which leaves out what a later process says is void',
    async () => {
      await write(tensorBoard(folder), started(0), evaluated(0, 90), step(1, 1), step(2, 2), step(3, 3));
      await new Promise((resolve) => setTimeout(resolve, 5));
      await write(tensorBoard(folder), started(1), step(2, 20), step(300, 0.25), evaluated(300, 5));
      const { status, stdout, stderr } = spawnSync(python, ['-c', READ, folder], { encoding: 'utf8' });
      expect(status, stderr).toBe(0);
      const scalars = JSON.parse(stdout) as Record<string, [step: number, value: number][]>;
      expect(scalars['training/loss']).toEqual([
        [1, 1],
        [2, 20],
        [300, 0.25],
      ]);
      expect(scalars['evaluation/fid']).toEqual([
        [0, 90],
        [300, 5],
      ]);
      expect(Object.keys(scalars)).toEqual(expect.arrayContaining(['objective/effectiveSampleSize', 'memory/bytes']));
    },
  );

  it('are told from damaged ones by the reader of this test', async () => {
    await write(tensorBoard(folder), started(0), step(1, 1));
    const bytes = readFileSync(join(folder, readdirSync(folder)[0]!));
    bytes[bytes.length - 9]! ^= 1;
    writeFileSync(join(folder, 'damaged'), bytes);
    expect(() => readEvents(bytes)).toThrow('checksum');
  });
});

describe('a sink', () => {
  it('that cannot write ends training with a report of where it stopped, and of the newest saved state', async () => {
    const full: LogSink = {
      write: (event) => {
        if (event.step === 2) throw new Error('ENOSPC: no space left on device, write');
      },
      close: () => {},
    };
    const saved: TrainingEvent = { type: 'saved', step: 1, images: 8, file: 'states/8' };
    for (const [events, report] of [
      [[started(0), step(2, 1)], 'No state was saved in this run'],
      [[started(0), step(1, 1), saved, step(2, 1)], 'The newest saved state is states/8'],
    ] as const) {
      async function* all(): AsyncGenerator<TrainingEvent> {
        yield* events;
      }
      const failure = await (async () => {
        for await (const _ of logTo(all(), full));
      })().catch((error: TrainingError) => error);
      expect(failure).toMatchObject({
        failure: 'save-failed',
        message: `the log could not be written: ENOSPC: no space left on device, write. Training stopped after 2 steps (16 images). ${report}.`,
      });
    }
  });

  it('is closed when the consumer leaves, and when training fails', async () => {
    let closed = 0;
    const sink: LogSink = { write: () => {}, close: () => void closed++ };
    async function* failing(): AsyncGenerator<TrainingEvent> {
      yield started(0);
      throw new Error('no more');
    }
    for await (const _ of logTo(failing(), sink)) break;
    expect(closed).toBe(1);
    await expect(async () => {
      for await (const _ of logTo(failing(), sink));
    }).rejects.toThrow('no more');
    expect(closed).toBe(2);
  });
});
