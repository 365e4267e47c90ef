import * as tf from '@tensorflow/tfjs-core';
import type { Addon, TypedArray } from './addon';
import { MemoryReport } from './memory-report';

/** What a kernel of the addon takes: tensors, numbers, flags, and lists of numbers or tensors. An absent tensor is undefined. */
export type Argument = tf.TensorInfo | number | boolean | undefined | readonly number[] | readonly tf.TensorInfo[];

const TYPES = ['float32', 'int32', 'bool', 'complex64'] as const;
const BYTES = { float32: 4, int32: 4, bool: 1, complex64: 8, string: 0 } as const;

/** What stands behind a data id. Several tensors, of several shapes, may share one. */
interface Entry {
  readonly shape: readonly number[];
  readonly dtype: tf.DataType;
  /** Of the addon's table; −1 for strings, which stay in JavaScript. */
  readonly handle: number;
  readonly strings?: tf.backend_util.BackendValues;
  references: number;
}

/** The number by which the addon knows an element type. */
export function typeCode(dtype: tf.DataType): number {
  const code = TYPES.indexOf(dtype as (typeof TYPES)[number]);
  if (code < 0) throw new Error(`torch: there are no tensors of type ${dtype}`);
  return code;
}

/** A tensor seen in another shape. */
export const view = (x: tf.TensorInfo, shape: readonly number[]): tf.TensorInfo => ({ ...x, shape: [...shape] });

/** tfjs's interface to libtorch: data by id, and {@link call}, through which every kernel goes. */
export class TorchBackend extends tf.KernelBackend {
  private readonly kernels: ReadonlyMap<string, number>;
  private readonly entries = new WeakMap<tf.DataId, Entry>();
  private readonly memoryReport: MemoryReport;
  private count = 0;
  private readonly forgotten = new FinalizationRegistry<{ handle: number; bytes: number }>(({ handle, bytes }) => {
    this.count--;
    this.memoryReport.change(-bytes);
    this.addon.release(handle);
  });

  constructor(readonly addon: Addon) {
    super();
    this.kernels = new Map(addon.kernelNames().map((name, i) => [name, i]));
    this.memoryReport = new MemoryReport(addon);
  }

  /** Runs a kernel of the addon that gives one tensor. */
  call(kernel: string, ...args: readonly Argument[]): tf.TensorInfo {
    this.run(kernel, args);
    return this.take(0).info;
  }

  /** Runs a kernel of the addon that gives `count` tensors. */
  callMany(count: number, kernel: string, ...args: readonly Argument[]): tf.TensorInfo[] {
    this.run(kernel, args);
    const results: tf.TensorInfo[] = [];
    for (let i = 0, at = 0; i < count; i++) {
      const { info, next } = this.take(at);
      results.push(info);
      at = next;
    }
    return results;
  }

  /** Runs a kernel of the addon that gives numbers: the first `count` of them. */
  numbers(count: number, kernel: string, ...args: readonly Argument[]): number[] {
    this.run(kernel, args);
    return Array.from(this.addon.buffer.subarray(0, count));
  }

  /** A tensor of given values. */
  make(values: TypedArray, shape: readonly number[], dtype: tf.DataType): tf.TensorInfo {
    return { dataId: this.write(values, [...shape], dtype), shape: [...shape], dtype };
  }

  private run(kernel: string, args: readonly Argument[]): void {
    const index = this.kernels.get(kernel);
    if (index === undefined) throw new Error(`torch: the addon has no kernel ${kernel}`);
    // Views are made before anything is written, for making one uses the buffer too. No closures and no lists of handles: this runs for every kernel.
    const views: number[] = [];
    for (const arg of args) {
      if (typeof arg !== 'object') continue;
      if ('dataId' in arg) this.seeAs(arg, kernel, views);
      else for (const item of arg) if (typeof item === 'object') this.seeAs(item, kernel, views);
    }
    const { buffer } = this.addon;
    let at = 0;
    let seen = 0;
    for (const arg of args) {
      if (typeof arg === 'number') buffer[at++] = arg;
      else if (typeof arg === 'boolean') buffer[at++] = arg ? 1 : 0;
      else if (arg === undefined) buffer[at++] = -1;
      else if ('dataId' in arg) buffer[at++] = this.ownHandle(arg) ?? views[seen++]!;
      else {
        if (at + arg.length >= buffer.length) throw new Error(`${kernel}: too many arguments`);
        buffer[at++] = arg.length;
        for (const item of arg)
          buffer[at++] = typeof item === 'number' ? item : (this.ownHandle(item) ?? views[seen++]!);
      }
    }
    try {
      this.addon.call(index, at);
    } catch (error) {
      throw new Error(`${kernel}: ${(error as Error).message.trim()}${given(args)}`);
    } finally {
      for (const handle of views) this.addon.release(handle);
    }
  }

  /** The handle of a tensor that is given in the shape in which it is held. */
  private ownHandle({ dataId, shape }: tf.TensorInfo): number | undefined {
    const entry = this.entry(dataId);
    return sameShape(entry.shape, shape) ? entry.handle : undefined;
  }

  /** Adds a view to `views` for a tensor that is given in another shape than it is held in. */
  private seeAs({ dataId, shape }: tf.TensorInfo, kernel: string, views: number[]): void {
    const entry = this.entry(dataId);
    if (entry.handle < 0) throw new Error(`${kernel}: a tensor of type string, expected numbers`);
    if (!sameShape(entry.shape, shape)) views.push(this.reshaped(entry.handle, shape));
  }

  private reshaped(handle: number, shape: readonly number[]): number {
    const { buffer } = this.addon;
    buffer[0] = handle;
    buffer[1] = shape.length;
    for (let i = 0; i < shape.length; i++) buffer[i + 2] = shape[i]!;
    this.addon.call(this.kernels.get('Reshape')!, shape.length + 2);
    return buffer[0]!;
  }

  /** The result that starts at a place of the buffer. */
  private take(at: number): { info: tf.TensorInfo; next: number } {
    const { buffer } = this.addon;
    const handle = buffer[at]!;
    const dtype = TYPES[buffer[at + 1]!]!;
    const rank = buffer[at + 2]!;
    const shape: number[] = [];
    for (let i = 0; i < rank; i++) shape.push(buffer[at + 3 + i]!);
    return { info: { dataId: this.keep({ shape, dtype, handle, references: 1 }), shape, dtype }, next: at + 3 + rank };
  }

  private keep(entry: Entry): tf.DataId {
    const dataId = {};
    this.entries.set(dataId, entry);
    this.count++;
    if (entry.handle >= 0) {
      const bytes = sizeOf(entry);
      this.forgotten.register(dataId, { handle: entry.handle, bytes }, entry);
      this.memoryReport.change(bytes);
    }
    return dataId;
  }

  private entry(dataId: tf.DataId): Entry {
    const entry = this.entries.get(dataId);
    if (!entry) throw new Error('torch: the tensor has been disposed');
    return entry;
  }

  override write(values: tf.backend_util.BackendValues, shape: number[], dtype: tf.DataType): tf.DataId {
    return this.keep(this.uploaded(values, shape, dtype));
  }

  override move(
    dataId: tf.DataId,
    values: tf.backend_util.BackendValues,
    shape: number[],
    dtype: tf.DataType,
    references: number,
  ): void {
    const entry = { ...this.uploaded(values, shape, dtype), references };
    this.entries.set(dataId, entry);
    this.count++;
    if (entry.handle >= 0) {
      this.forgotten.register(dataId, { handle: entry.handle, bytes: sizeOf(entry) }, entry);
      this.memoryReport.change(sizeOf(entry));
    }
  }

  private uploaded(values: tf.backend_util.BackendValues, shape: readonly number[], dtype: tf.DataType): Entry {
    if (dtype === 'string') return { shape: [...shape], dtype, handle: -1, strings: values, references: 1 };
    const { buffer } = this.addon;
    buffer[0] = shape.length;
    for (let i = 0; i < shape.length; i++) buffer[i + 1] = shape[i]!;
    const handle = this.addon.upload(typed(values, dtype), typeCode(dtype));
    return { shape: [...shape], dtype, handle, references: 1 };
  }

  override readSync(dataId: tf.DataId): tf.backend_util.BackendValues {
    const entry = this.entry(dataId);
    if (entry.strings) return entry.strings;
    const size = tf.util.sizeFromShape([...entry.shape]);
    const values =
      entry.dtype === 'int32'
        ? new Int32Array(size)
        : entry.dtype === 'bool'
          ? new Uint8Array(size)
          : new Float32Array(entry.dtype === 'complex64' ? 2 * size : size);
    this.addon.download(entry.handle, values);
    return values;
  }

  override async read(dataId: tf.DataId): Promise<tf.backend_util.BackendValues> {
    return this.readSync(dataId);
  }

  override disposeData(dataId: tf.DataId, force = false): boolean {
    const entry = this.entries.get(dataId);
    if (!entry) return true;
    entry.references--;
    if (!force && entry.references > 0) return false;
    this.entries.delete(dataId);
    this.count--;
    if (entry.handle >= 0) {
      this.forgotten.unregister(entry);
      this.memoryReport.change(-sizeOf(entry));
      this.addon.release(entry.handle);
    }
    return true;
  }

  override incRef(dataId: tf.DataId): void {
    const entry = this.entries.get(dataId);
    if (entry) entry.references++;
  }

  override refCount(dataId: tf.DataId): number {
    return this.entries.get(dataId)?.references ?? 0;
  }

  override numDataIds(): number {
    return this.count;
  }

  override timerAvailable(): boolean {
    return true;
  }

  override async time(f: () => void): Promise<tf.BackendTimingInfo> {
    const start = performance.now();
    f();
    this.run('synchronize', []);
    return { kernelMs: performance.now() - start };
  }

  override memory(): { unreliable: boolean } {
    return { unreliable: false };
  }

  override floatPrecision(): 16 | 32 {
    return 32;
  }

  override epsilon(): number {
    return 1e-7;
  }

  override dispose(): void {}
}

const sizeOf = ({ shape, dtype }: Entry) => tf.util.sizeFromShape([...shape]) * BYTES[dtype];

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function typed(values: tf.backend_util.BackendValues, dtype: tf.DataType): TypedArray {
  const numbers = values as TypedArray | number[];
  if (dtype === 'int32') return numbers instanceof Int32Array ? numbers : Int32Array.from(numbers);
  if (dtype === 'bool') return numbers instanceof Uint8Array ? numbers : Uint8Array.from(numbers);
  return numbers instanceof Float32Array ? numbers : Float32Array.from(numbers);
}

/** The tensors among a call's arguments, for an error's text. */
function given(args: readonly Argument[]): string {
  const items: readonly unknown[] = args.flatMap<unknown>((arg) => (Array.isArray(arg) ? arg : [arg]));
  const tensors = items.filter((item): item is tf.TensorInfo => typeof item === 'object' && item !== null);
  const shapes = tensors.map((x) => `${x.dtype} [${x.shape}]`);
  return shapes.length > 0 ? ` (given ${shapes.join(', ')})` : '';
}
