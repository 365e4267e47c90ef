import { readFileSync } from 'node:fs';
import { CheckpointError, openCheckpoint } from '../src';
import { allowedNames } from '../src/constructors';
import { int32, type Part, pickle, text } from './pickles';

/** A file to mutate, and how often it is taken. */
interface Seed {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** What became of the inputs. */
export interface FuzzCounts {
  readonly inputs: number;
  readonly opened: number;
  readonly refused: number;
  /** Opened, but refused when the tensors were read: a compressed entry was damaged. */
  readonly refusedInReading: number;
  readonly slowestMs: number;
  /** By file: how many inputs were made of it. */
  readonly seeds: Readonly<Record<string, number>>;
}

/** Files of every format. The largest come a tenth as often as the others. */
const large = ['edm2-snapshot.pkl', 'state-zip.pt', 'state-legacy.pth', 'edm2-snapshot.expected.safetensors'];
const small = [
  'types.pt',
  'training.pth',
  'training-legacy.pth',
  'numpy-2.pkl',
  'numpy-4.pkl',
  'numpy-5.pkl',
  'statistics.npz',
  'statistics-compressed.npz',
  'images.npz',
  'fortran.npy',
  'big-endian.npy',
  'tiny.safetensors',
  'tiny-snapshot.pkl',
];

/** What may be asked for: enough for the fixtures, and little enough for a bomb to show. */
const MAX_BYTES = 8 * 2 ** 20;

/**
 * Opens mutated checkpoints, and pickles of random instructions, and reads their tensors. The same seed makes the same inputs.
 *
 * @throws Error with the file, the number of the input and the cause, when opening ends in anything but a checkpoint or a CheckpointError, or
 *   takes longer than five seconds
 */
export function fuzz(seed: number, inputs: number, progress: (done: number) => void = () => {}): FuzzCounts {
  const files = [...large, ...small].map((name): Seed => {
    return { name, bytes: new Uint8Array(readFileSync(new URL(`fixtures/${name}`, import.meta.url))) };
  });
  const seeds: Record<string, number> = Object.fromEntries(files.map(({ name }) => [name, 0]));
  seeds['random pickles'] = 0;
  const random = generator(seed);
  let [opened, refused, refusedInReading, slowestMs] = [0, 0, 0, 0];
  for (let i = 0; i < inputs; i++) {
    const from = random(10) === 0 ? random(large.length) : large.length + random(small.length);
    const isProgram = random(5) === 0;
    const { name, bytes } = isProgram ? { name: 'random pickles', bytes: program(random) } : files[from]!;
    seeds[name]!++;
    const input = isProgram ? bytes : mutate(bytes, files[random(files.length)]!.bytes, random);
    const started = performance.now();
    let isOpen = false;
    try {
      const { tensors } = openCheckpoint(input, { maxBytes: MAX_BYTES });
      isOpen = true;
      for (const tensor of Object.values(tensors)) void tensor.data.length;
      opened++;
    } catch (error) {
      if (!(error instanceof CheckpointError)) {
        throw new Error(`input ${i} of seed ${seed}, made of ${name}: ${(error as Error).stack}`, { cause: error });
      }
      if (!Number.isSafeInteger(error.offset) || error.offset < 0) {
        throw new Error(`input ${i} of seed ${seed}, made of ${name}: offset ${error.offset}: ${error.message}`);
      }
      if (isOpen) refusedInReading++;
      else refused++;
    }
    const took = performance.now() - started;
    slowestMs = Math.max(slowestMs, took);
    if (took > 5000) throw new Error(`input ${i} of seed ${seed}, made of ${name}, took ${took} ms`);
    progress(i + 1);
  }
  return { inputs, opened, refused, refusedInReading, slowestMs, seeds };
}

type Random = (below: number) => number;

/** Whole numbers below a bound: xorshift32. */
function generator(seed: number): Random {
  let state = (seed * 2654435761 + 1) >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % below;
  };
}

/** Instructions of pickles, so that mutated ones say something. */
const instructions = Uint8Array.from('.(012NKMJGXTUCB]a)tls}udehjqrcRbQ', (c) => c.charCodeAt(0));
const extremes = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

/** Names that a pickle may use, called with whatever is there. */
const names = [...allowedNames.keys()].map((name) => new TextEncoder().encode(`c${name.replace(' ', '\n')}\n`));

/** A pickle of random instructions, such that most find on the stack and among the notes what they take. */
function program(random: Random): Uint8Array {
  const parts: Part[] = [];
  let depth = 0;
  let notes = 0;
  const push = (part: Part, more = 1) => {
    parts.push(part);
    depth += more;
  };
  const makers: (() => void)[] = [
    () => push(['N', 0x88, 0x89, ']', '}', ')', 0x8f][random(7)]!),
    () => push(['K', random(256)]),
    () => push(['J', int32([-1, 0, 1, 2 ** 30, -(2 ** 31)][random(5)]!)]),
    () => push(['G', Uint8Array.from({ length: 8 }, () => random(256))]),
    () =>
      push(text(['', 'a', 'latin1', 'class', 'state', '_parameters', '_modules', '__proto__', '<', 'f8'][random(10)]!)),
    () => push(['C', 3, 'abc']),
    () => push(names[random(names.length)]!),
    () => push('2'),
    () => notes > 0 && push(['h', random(Math.min(notes, 256))]),
    () => {
      parts.push(0x94);
      notes++;
    },
    () => depth > 1 && push(['a', 'b', 0x86, 'R', 0x81][random(5)]!, -1),
    () => depth > 0 && push(0x85, 0),
    () => depth > 2 && push([0x87, 's'][random(2)]!, -2),
    () => {
      // A call of a name with so many arguments, and perhaps a state.
      push([names[random(names.length)]!, 0x94, '(']);
      notes++;
      for (let i = random(8); i > 0; i--) makers[random(9)]!();
      push(['t', ['R', 0x81][random(2)]!], 0);
    },
  ];
  for (let i = 1 + random(60); i > 0; i--) makers[random(makers.length)]!();
  // What is left on the stack becomes one tuple.
  return pickle('(', ...parts, 't');
}

function mutate(bytes: Uint8Array, other: Uint8Array, random: Random): Uint8Array {
  let result: Uint8Array = bytes.slice();
  for (let edits = 1 + random(4); edits > 0 && result.length > 0; edits--) {
    // Half of the edits near either end, where headers and directories are.
    const near = Math.min(result.length, 400);
    const at = [random(result.length), random(result.length), random(near), result.length - 1 - random(near)][
      random(4)
    ]!;
    const length = Math.min(result.length - at, 1 + random([4, 64, 4096][random(3)]!));
    switch (random(9)) {
      case 0:
        result[at]! ^= 1 << random(8);
        break;
      case 1:
        result[at] = random(256);
        break;
      case 2:
        result[at] = instructions[random(instructions.length)]!;
        break;
      case 3: {
        const value = extremes[random(extremes.length)]!;
        for (let i = 0; i < [1, 2, 4, 8][random(4)]! && at + i < result.length; i++) {
          result[at + i] = i < 4 ? value >>> (8 * i) : value === 0xffffffff ? 255 : 0;
        }
        break;
      }
      case 4:
        result = spliced(result, at, length, new Uint8Array(0));
        break;
      case 5:
        result = spliced(result, at, 0, result.slice(at, at + length));
        break;
      case 6: {
        const from = random(other.length);
        result = spliced(result, at, random(2) * length, other.slice(from, from + length));
        break;
      }
      case 7:
        result = spliced(
          result,
          at,
          0,
          Uint8Array.from({ length: Math.min(length, 64) }, () => random(256)),
        );
        break;
      case 8:
        if (random(4) === 0) result = result.slice(0, at);
        else result.fill(random(256), at, at + length);
        break;
    }
  }
  return result;
}

function spliced(bytes: Uint8Array, at: number, remove: number, insert: Uint8Array): Uint8Array {
  const result = new Uint8Array(bytes.length - remove + insert.length);
  result.set(bytes.subarray(0, at));
  result.set(insert, at);
  result.set(bytes.subarray(at + remove), at + insert.length);
  return result;
}
