import { deflateSync, zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { CheckpointError, openCheckpoint, readNpz } from '../src';
import { fixture } from './files';
import { bytesOfParts, global, int32, int64, legacy, type Part, pickle, tensor, text } from './pickles';

function refused(bytes: Uint8Array): CheckpointError {
  try {
    openCheckpoint(bytes, { maxBytes: 2 ** 24 });
  } catch (error) {
    if (error instanceof CheckpointError) return error;
    throw error;
  }
  throw new Error('opened');
}
const repeated = (part: Part, times: number): Part => Array.from({ length: times }, () => part);

describe('a pickle that', () => {
  const wrong: [string, Uint8Array, RegExp][] = [
    ['calls a command', pickle(global('os', 'system'), text('echo'), 0x85, 'R'), /refused: "os.system"/],
    ['calls a command by an object', pickle(text('posix'), text('system'), 0x93, ')R'), /refused: "posix.system"/],
    ['reaches for attributes', pickle(global('builtins', 'getattr')), /refused: "builtins.getattr"/],
    ['evaluates text', pickle(global('builtins', 'eval')), /refused: "builtins.eval"/],
    ['names a table of JavaScript', pickle(global('__proto__', 'constructor')), /refused: "__proto__.constructor"/],
    ['has an endless name', pickle('c', 'a'.repeat(2000)), /name has no end/],
    ['instantiates by protocol 0', pickle('(', 'ios\nsystem\n'), /instruction 0x69/],
    ['uses an extension', pickle(0x82, 1), /instruction 0x82/],
    ['refers outside of it', pickle(text('key'), 'Q'), /outside/],
    ['calls what is no constructor', pickle('K', 1, ')R'), /pickle calls 1/],
    [
      'calls a constructor by keywords',
      pickle(global('collections', 'OrderedDict'), ')}', text('a'), 'Ns', 0x92),
      /keywords/,
    ],
    ['is of protocol 0', bytesOfParts(0x80, 4, 'I1\n.'), /instruction 0x49/],
    ['is cut short', pickle('K', 1).slice(0, 4), /1 bytes follow, the file has 0/],
    ['has no end', pickle('K', 1).slice(0, 4), /1 bytes follow/],
    ['says that text is longer than the file', pickle('X', int32(1000), 'abc'), /1000 bytes follow, the file has 4/],
    ['says that bytes are longer than memory', pickle(0x8e, int64(2n ** 62n)), /bytes follow/],
    ['says that bytes are fewer than none', pickle(0x8e, int64(-1)), /bytes follow/],
    ['has a frame beyond the file', pickle(0x95, int64(100)), /frame of 100 bytes/],
    ['has an integer of a thousand bytes', pickle(0x8b, int32(1000), 'x'.repeat(1000)), /integer of 1000 bytes/],
    ['takes from an empty stack', pickle('0'), /takes a value where there is none/],
    ['takes across a mark', pickle('N(', 0x85), /takes a value where there is none/],
    ['ends a tuple that was not begun', pickle('t'), /not begun/],
    ['leaves values', pickle('NN'), /left over/],
    ['recalls what was not noted', pickle('h', 7), /noted as 7/],
    ['appends to a number', pickle('K', 1, 'Na'), /appends to 1/],
    ['has a list for a key', pickle('}]', ']aNs'), /a list for a key/],
    ['has a key twice', pickle('}', text('a'), 'Ns', text('a'), 'Ns'), /key "a" twice/],
    ['has one key in two types', pickle('}', text('1'), 'Ns', 'K', 1, 'Ns'), /key "1" twice/],
    ['contains itself', pickle(']', 0x94, 'h', 0, 'a'), /contains itself/],
    ['is deeper than the limit', pickle(repeated(']', 300), repeated('a', 299)), /deeper than 256/],
    [
      'is deep and shared',
      pickle(repeated(']', 200), repeated('a', 199), 0x94, '0', repeated(']', 100), 'h', 0, repeated('a', 100)),
      /deeper than 256/,
    ],
    [
      'doubles forty times',
      pickle(
        ']',
        0x94,
        '0',
        Array.from({ length: 40 }, (_, i): Part => [']', 0x94, '(', 'h', i, 'h', i, 'e', '0']),
        'h',
        40,
      ),
      /more than 1000000 values/,
    ],
    [
      'has a class among its values',
      pickle(global('torch.nn.parameter', 'Parameter'), 0x85),
      /torch.nn.Parameter, which is no data/,
    ],
    ['builds a number', pickle('K', 1, '}b'), /gives a state to 1/],
    [
      'has a persistent object of no class',
      pickle(global('torch_utils.persistence', '_reconstruct_persistent_obj'), '}', 0x85, 'R'),
      /of no class/,
    ],
    ['has trailing bytes', bytesOfParts(pickle('N'), 'N'), /1 bytes follow the pickle/],
  ];
  it.each(wrong)('%s is refused, with the reason', (_, bytes, reason) => {
    expect(refused(bytes).message).toMatch(reason);
  });

  it('runs on and on is refused at the limit of instructions', () => {
    const bytes = new Uint8Array(2_000_000).fill(0x4e);
    bytes.set([0x80, 4]);
    expect(refused(bytes).reason).toMatch(/more than 1000000 instructions/);
  });

  it('copies one list many times is refused by what it would take', () => {
    const copies = repeated(['h', 0, 0x85, 'R', '0h', 1], 1000);
    const list = pickle(']', 0x94, '(', repeated('N', 10000), 'e0', global('builtins', 'list'), 0x94, copies, '0h', 0);
    expect(refused(list).reason).toMatch(/more than 16777216 bytes of memory/);
  });

  it('is refused names the byte of the instruction', () => {
    expect(refused(pickle('N0', global('os', 'system'))).offset).toBe(4);
    const nested = legacy(() => global('os', 'system'), Float32Array.of(1));
    const outer = bytesOfParts(0x80, 4, global('torch.storage', '_load_from_bytes'), 'B', int32(nested.length));
    const { offset, reason } = refused(bytesOfParts(outer, nested, 0x85, 'R.'));
    expect(reason).toMatch(/os.system/);
    expect(offset).toBe(outer.length + nested.indexOf(0x63));
  });

  it('holds files in files in files is refused', () => {
    const inside = (file: Uint8Array): Part => [
      global('torch.storage', '_load_from_bytes'),
      'B',
      int32(file.length),
      file,
      0x85,
      'R',
    ];
    let file = legacy((storage) => tensor(storage, ['K', 0], ')', ')'), Float32Array.of(1));
    for (let depth = 0; depth < 5; depth++) {
      const inner = file;
      file = legacy((storage) => [']', storage, '0', inside(inner), 'a'], Float32Array.of(1));
    }
    expect(refused(file).reason).toMatch(/nested deeper than 3/);
  });
});

describe('a tensor that', () => {
  const one = (offset: Part, shape: Part, strides: Part) =>
    legacy((storage) => tensor(storage, offset, shape, strides), Float32Array.of(1, 2, 3, 4));
  const zero: Part = ['K', 0];
  const wrong: [string, Uint8Array, RegExp][] = [
    ['reaches beyond its storage', one(zero, ['K', 5, 0x85], ['K', 1, 0x85]), /beyond 4 values/],
    ['begins beyond its storage', one(['K', 4], ')', ')'), /beyond 4 values/],
    ['strides beyond its storage', one(zero, ['K', 2, 0x85], ['K', 4, 0x85]), /beyond 4 values/],
    ['has a negative extent', one(zero, ['J', int32(-1), 0x85], ['K', 1, 0x85]), /shape \[-1\]/],
    ['has a negative stride', one(['K', 3], ['K', 2, 0x85], ['J', int32(-1), 0x85]), /strides \[-1\]/],
    ['has a negative offset', one(['J', int32(-1)], ')', ')'), /offset -1/],
    ['has another number of strides', one(zero, ['K', 2, 0x85], ')'), /strides \[\]/],
    ['is of a fraction', one(zero, ['G', new Uint8Array(8).fill(0x3f), 0x85], ['K', 1, 0x85]), /shape/],
    ['repeats one value without end', one(zero, ['J', int32(2 ** 30), 0x85], ['K', 0, 0x85]), /bytes of memory/],
    [
      'overflows',
      one(zero, ['(', repeated(['J', int32(2 ** 30)], 60), 't'], ['(', repeated(['K', 0], 60), 't']),
      /bytes of memory/,
    ],
    ['views a list', pickle(tensor(']', ['K', 0], ')', ')')), /views a list, expected a storage/],
    [
      'has a storage of another size than the file',
      legacy((s) => tensor(s, zero, ')', ')'), Float32Array.of(1), 9),
      /has 1 values, expected 9/,
    ],
  ];
  it.each(wrong)('%s is refused, with the reason', (_, bytes, reason) => {
    expect(refused(bytes).message).toMatch(reason);
  });
});

describe('an archive that', () => {
  const edited = (name: string, edit: (view: DataView, directory: number) => void) => {
    const bytes = fixture(name);
    const view = new DataView(bytes.buffer);
    let end = bytes.length - 22;
    while (view.getUint32(end, true) !== 0x06054b50) end--;
    edit(view, view.getUint32(end + 16, true));
    return bytes;
  };
  const wrong: [string, Uint8Array, RegExp][] = [
    ['is cut short', fixture('statistics.npz').slice(0, -30), /no directory: it is cut short/],
    ['is encrypted', edited('statistics.npz', (view, at) => view.setUint16(at + 8, 1, true)), /encrypted/],
    ['is compressed otherwise', edited('statistics.npz', (view, at) => view.setUint16(at + 10, 12, true)), /method 12/],
    [
      'inflates beyond what deflate can',
      edited('statistics-compressed.npz', (view, at) => view.setUint32(at + 24, 2 ** 28, true)),
      /inflate to 268435456/,
    ],
    [
      'has an entry elsewhere',
      edited('statistics.npz', (view, at) => view.setUint32(at + 42, 5, true)),
      /not where the directory says/,
    ],
    [
      'has overlapping entries',
      edited('statistics.npz', (view, at) => {
        const next = at + 46 + view.getUint16(at + 28, true) + view.getUint16(at + 30, true);
        view.setUint32(next + 42, view.getUint32(at + 42, true), true);
        for (const field of [20, 24]) view.setUint32(next + field, view.getUint32(at + field, true), true);
      }),
      /overlap/,
    ],
    [
      'has a file that is no array',
      zipSync({ 'a.txt': new Uint8Array(3) }, { level: 0 }),
      /"a.txt" of the archive is no .npy/,
    ],
    ['is a bomb', zipSync({ 'a.npy': new Uint8Array(2 ** 25) }), /bytes of memory/],
  ];
  it.each(wrong)('%s is refused, with the reason', (_, bytes, reason) => {
    expect(refused(bytes).message).toMatch(reason);
  });

  it('is damaged inside a compressed entry says so when the entry is read', () => {
    const bytes = fixture('statistics-compressed.npz');
    const { mu } = readNpz(bytes);
    bytes[150]! ^= 0xff;
    expect(() => mu!.data).toThrow(CheckpointError);
  });

  it('inflates to more than it says is refused, and no more is allocated', () => {
    const long = deflateSync(new Uint8Array(100_000));
    const honest = zipSync({ 'a.npy': new Uint8Array(100_000) });
    const lying = honest.slice();
    const directory = new DataView(lying.buffer).getUint32(lying.length - 6, true);
    new DataView(lying.buffer).setUint32(directory + 24, 300, true);
    expect(long.length).toBeLessThan(1000);
    expect(() => openCheckpoint(lying)).toThrow(CheckpointError);
  });
});

describe('an array file that', () => {
  const npy = (header: string, data = new Uint8Array(0)) =>
    bytesOfParts(0x93, 'NUMPY', 1, 0, header.length & 255, header.length >> 8, header, data);
  const header = (descr: string, shape: string) =>
    `{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }\n`;
  const wrong: [string, Uint8Array, RegExp][] = [
    ['holds Python objects', npy(header('|O', '(1,)'), new Uint8Array(8)), /type "\|O"/],
    ['holds text', npy(header('<U5', '(1,)'), new Uint8Array(20)), /type "<U5"/],
    ['has another size than its shape', npy(header('<f8', '(2,)'), new Uint8Array(8)), /8 bytes, expected 16/],
    ['has an overflowing shape', npy(header('<f8', `(${'9999999999, '.repeat(40)})`)), /expected Infinity/],
    [
      'has a header that computes',
      npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2**9,), }"),
      /does not have/,
    ],
    ['has a header that is cut short', npy('x'.repeat(300)).slice(0, 200), /said to have 300 bytes, the file has 190/],
    ['is of version 9', bytesOfParts(0x93, 'NUMPY', 9, 0, 0, 0, '            '), /version 9/],
  ];
  it.each(wrong)('%s is refused, with the reason', (_, bytes, reason) => {
    expect(refused(bytes).message).toMatch(reason);
  });
});
