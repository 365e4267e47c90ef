import { encodePng } from '../src/png';

/** An idx file. */
export function idx(type: number, shape: readonly number[], bytes: readonly number[]): Uint8Array {
  const header = new DataView(new ArrayBuffer(4 + 4 * shape.length));
  header.setUint8(2, type);
  header.setUint8(3, shape.length);
  for (const [i, extent] of shape.entries()) header.setUint32(4 + 4 * i, extent);
  return Uint8Array.of(...new Uint8Array(header.buffer), ...bytes);
}

/** Three bytes of a colour by image, row and column: all different enough to tell a mixed-up order. */
export const color = (image: number, y: number, x: number) => [
  (7 * image + y) % 256,
  (8 * x + image) % 256,
  (y * x) % 256,
];

/** Images of {@link color}, interleaved: 32 × 32 × 3. */
export function interleaved(images: readonly number[]): Uint8Array {
  return Uint8Array.from(
    images.flatMap((image) => Array.from({ length: 1024 }, (_, pixel) => color(image, pixel >> 5, pixel & 31)).flat()),
  );
}

/** One image of {@link color} in planes of red, green and blue. */
export const planes = (image: number) =>
  [0, 1, 2].flatMap((channel) =>
    Array.from({ length: 1024 }, (_, pixel) => color(image, pixel >> 5, pixel & 31)[channel]!),
  );

/** A file of CIFAR-10's binary version. */
export const binaryBatch = (images: readonly number[], labels: readonly number[]) =>
  Uint8Array.from(images.flatMap((image, i) => [labels[i]!, ...planes(image)]));

const ascii = (text: string) => [...text].map((letter) => letter.charCodeAt(0));
const int32 = (n: number) => [n & 255, (n >> 8) & 255, (n >> 16) & 255, n >>> 24];

/** The parts of a pickle that Python 2's cPickle writes, without the notes ('q') that it takes and never uses here. */
export const py = {
  string: (text: string) => [...ascii('U'), text.length, ...ascii(text)],
  bytes: (bytes: readonly number[]) => [...ascii('T'), ...int32(bytes.length), ...bytes],
  int: (n: number) => (n >= 0 && n < 256 ? [...ascii('K'), n] : [...ascii('J'), ...int32(n)]),
  global: (module: string, name: string) => ascii(`c${module}\n${name}\n`),
  list: (items: readonly number[][]) => [...ascii(']q\x01('), ...items.flat(), ...ascii('e')],
  tuple: (items: readonly number[][]) => [...ascii('('), ...items.flat(), ...ascii('t')],
  call: (callee: number[], args: number[], state: number[]) => [
    ...callee,
    ...args,
    ...ascii('R'),
    ...state,
    ...ascii('b'),
  ],
  dictionary: (entries: Record<string, number[]>) => [
    ...ascii('}('),
    ...Object.entries(entries).flatMap(([name, value]) => [...py.string(name), ...value]),
    ...ascii('u'),
  ],
  file: (value: number[]) => Uint8Array.from([0x80, 2, ...value, ...ascii('.')]),
  none: ascii('N'),
  no: [0x89],
  yes: [0x88],
};

/** A pickled NumPy array of bytes. */
export const numpy = (shape: readonly number[], bytes: readonly number[], { type = 'u1', columnMajor = py.no } = {}) =>
  py.call(
    py.global('numpy.core.multiarray', '_reconstruct'),
    py.tuple([py.global('numpy', 'ndarray'), py.tuple([py.int(0)]), py.string('b')]),
    py.tuple([
      py.int(1),
      py.tuple(shape.map(py.int)),
      py.call(
        py.global('numpy', 'dtype'),
        py.tuple([py.string(type), py.int(0), py.int(1)]),
        py.tuple([py.int(3), py.string('|'), py.none, py.none, py.none, py.int(-1), py.int(-1), py.int(0)]),
      ),
      columnMajor,
      py.bytes(bytes),
    ]),
  );

/** A file of CIFAR-10's Python version. */
export const pythonBatch = (images: readonly number[], labels: readonly number[]) =>
  py.file(
    py.dictionary({
      batch_label: py.string('training batch 1 of 5'),
      labels: py.list(labels.map(py.int)),
      data: numpy([images.length, 3072], images.flatMap(planes)),
      filenames: py.list(images.map((image) => py.string(`${image}.png`))),
    }),
  );

/** Bytes of a small generator (xorshift), the same as in fixtures/pillow.py. */
export function randomBytes(seed: number, count: number): Uint8Array {
  let x = seed;
  return Uint8Array.from({ length: count }, () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x & 255;
  });
}

/** A tar archive; names beyond 100 characters come as GNU's or POSIX's records. */
export function tar(files: Readonly<Record<string, Uint8Array>>, kind: 'gnu' | 'posix' = 'posix'): Uint8Array {
  const blocks: Uint8Array[] = [];
  const add = (name: string, type: string, data: Uint8Array) => {
    const header = Buffer.alloc(512);
    header.write(name.slice(0, 100), 0);
    header.write(`${data.length.toString(8).padStart(11, '0')}\0`, 124);
    header.write(`        ${type}`, 148);
    header.write('ustar\0' + '00', 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    blocks.push(header, data, new Uint8Array((512 - (data.length % 512)) % 512));
  };
  for (const [name, data] of Object.entries(files)) {
    if (name.length > 100) {
      const record = `path=${name}\n`;
      const text = kind === 'gnu' ? `${name}\0` : `${record.length + 4} ${record}`;
      add('long', kind === 'gnu' ? 'L' : 'x', Buffer.from(text));
    }
    add(name, '0', data);
  }
  return Uint8Array.from(Buffer.concat([...blocks, new Uint8Array(1024)]));
}

/** PNG files of 8 × 8 pixels under these names. */
export const picturesOf = (names: readonly string[]): Record<string, Uint8Array> =>
  Object.fromEntries(
    names.map((name, i) => [name, encodePng({ height: 8, width: 8, channels: 3, pixels: randomBytes(i + 1, 192) })]),
  );
