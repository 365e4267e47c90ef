import { CheckpointError, quote } from './error';
import { type Budget, MAX_TEXT } from './limits';
import { CheckpointObject, CheckpointTensor, dictionary, isDictionary } from './values';

/** What a constructor, and a persistent id, may use. */
export interface PickleContext {
  /** Byte of the file at which the instruction is. */
  readonly offset: number;
  readonly budget: Budget;
  fail(reason: string): never;
  /** What a PyTorch file inside this one holds. */
  nested(file: Uint8Array): unknown;
}

/** A name that a pickle may use, and what calling it makes. */
export class Constructor {
  constructor(
    readonly name: string,
    readonly call: (args: readonly unknown[], context: PickleContext) => unknown = (_, { fail }) =>
      fail(`${name} is no constructor`),
  ) {}
}

/** A value under construction whose state a later instruction gives. */
export interface Buildable {
  build(state: unknown, context: PickleContext): void;
}

/** How a pickle is read. */
export interface PickleOptions {
  /** Byte of the file at which `bytes` begins. */
  readonly offset: number;
  readonly budget: Budget;
  /** What `module name` stands for; undefined where it is not allowed. */
  find(name: string): unknown;
  /** What a persistent id stands for. */
  persistent(id: unknown, context: PickleContext): unknown;
  nested(file: Uint8Array, offset: number): unknown;
}

/** Longest integer that is read, in bytes: PyTorch's magic number has ten. */
const MAX_INTEGER = 64;

/**
 * Reads one pickle of protocol 2 to 5, from its PROTO to its STOP. The data instructions are interpreted; a name is looked up in a fixed
 * table, and whatever is not there is refused. Nothing is imported, nothing of the file is executed.
 *
 * @returns the value, and the byte after the pickle
 * @throws CheckpointError at any other instruction or name, and when the pickle is cut short or makes no sense
 * @see the instructions' descriptions in Python's `pickletools`
 */
export function readPickle(bytes: Uint8Array, start: number, options: PickleOptions): { value: unknown; end: number } {
  const { budget } = options;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const stack: unknown[] = [];
  const marks: number[] = [];
  const memo = new Map<number, unknown>();
  let at = start;
  let instruction = start;

  const context: PickleContext = {
    get offset() {
      return options.offset + instruction;
    },
    budget,
    fail(reason) {
      throw new CheckpointError(reason, options.offset + instruction);
    },
    nested: (file) => options.nested(file, options.offset + file.byteOffset - bytes.byteOffset),
  };
  const fail: (reason: string) => never = context.fail;
  const take = (count: number): number => {
    if (!(count <= bytes.length - at)) {
      return fail(`pickle says that ${count} bytes follow, the file has ${bytes.length - at}`);
    }
    at += count;
    return at - count;
  };
  const uint8 = () => view.getUint8(take(1));
  const uint32 = () => view.getUint32(take(4), true);
  const uint64 = () => Number(view.getBigUint64(take(8), true));
  const raw = (length: number) => {
    const from = take(length);
    return bytes.subarray(from, at);
  };
  const text = (length: number, encoding: 'utf-8' | 'latin1') => {
    if (length > MAX_TEXT) fail(`text of ${length} bytes, expected at most ${MAX_TEXT}`);
    const encoded = raw(length);
    return encoding === 'utf-8' ? utf8(encoded) : latin1(encoded);
  };
  const line = () => {
    const end = bytes.subarray(at, at + 1024).indexOf(0x0a);
    if (end < 0) return fail('name has no end');
    const name = latin1(raw(end));
    at++;
    return name;
  };
  const integer = (length: number) => {
    if (length > MAX_INTEGER) fail(`integer of ${length} bytes, expected at most ${MAX_INTEGER}`);
    return littleEndian(raw(length));
  };

  const floor = () => marks[marks.length - 1] ?? 0;
  const push = (value: unknown) => stack.push(value);
  const pop = (): unknown => (stack.length > floor() ? stack.pop() : fail('pickle takes a value where there is none'));
  const popToMark = (): unknown[] => {
    const from = marks.pop();
    return from === undefined ? fail('pickle ends a group that was not begun') : stack.splice(from);
  };
  const top = (): unknown =>
    stack.length > floor() ? stack[stack.length - 1] : fail('pickle takes a value where there is none');
  const note = (index: number) => {
    memo.set(index, top());
  };
  const recall = (index: number) => push(memo.has(index) ? memo.get(index) : fail(`nothing was noted as ${index}`));

  const append = (items: readonly unknown[]) => {
    const list = top();
    if (!Array.isArray(list)) return fail(`pickle appends to ${kindOf(list)}`);
    for (const item of items) list.push(item);
  };
  const setItems = (items: readonly unknown[]) => {
    const target = top();
    if (!isDictionary(target)) return fail(`pickle sets items of ${kindOf(target)}`);
    if (items.length % 2 !== 0) fail('key has no value');
    for (let i = 0; i < items.length; i += 2) {
      const key = keyOf(items[i], context);
      if (Object.hasOwn(target, key)) fail(`dictionary has key ${quote(key)} twice`);
      target[key] = items[i + 1] as never;
    }
  };
  const find = (module: unknown, name: unknown) => {
    if (typeof module !== 'string' || typeof name !== 'string') return fail('name is no text');
    const known = module.length + name.length < 1000 ? options.find(`${module} ${name}`) : undefined;
    push(
      known ??
        fail(`refused: ${quote(`${module.slice(0, 100)}.${name.slice(0, 100)}`)} is not among the names allowed`),
    );
  };
  const call = () => {
    const args = pop();
    const callee = pop();
    if (!(callee instanceof Constructor)) return fail(`pickle calls ${kindOf(callee)}`);
    push(Array.isArray(args) ? callee.call(args, context) : fail(`${callee.name} is called with ${kindOf(args)}`));
  };
  const build = () => {
    const state = pop();
    const target = top();
    if (target instanceof CheckpointObject) return setState(target, state, context);
    if (isBuildable(target)) return target.build(state, context);
    // Attributes that PyTorch hangs on state dictionaries (versions of modules) and on parameters: no data.
    if (isDictionary(target) || target instanceof CheckpointTensor) return;
    fail(`pickle gives a state to ${kindOf(target)}`);
  };

  if (uint8() !== 0x80) fail('pickle does not begin with its protocol');
  const protocol = uint8();
  if (protocol < 2 || protocol > 5) fail(`pickle is of protocol ${protocol}, expected 2 to 5`);

  for (;;) {
    instruction = at;
    budget.instruction(context.offset);
    const code = uint8();
    switch (code) {
      case 0x2e: {
        const value = pop();
        if (stack.length > 0 || marks.length > 0) fail('pickle ends with values left over');
        return { value, end: at };
      }
      case 0x95: {
        const length = uint64();
        if (!(length <= bytes.length - at)) fail(`frame of ${length} bytes, the file has ${bytes.length - at}`);
        break;
      }
      case 0x28:
        marks.push(stack.length);
        break;
      case 0x30:
        if (stack.length === floor() && marks.length > 0) marks.pop();
        else pop();
        break;
      case 0x31:
        popToMark();
        break;
      case 0x32:
        push(top());
        break;

      case 0x4e:
        push(null);
        break;
      case 0x88:
      case 0x89:
        push(code === 0x88);
        break;
      case 0x4b:
        push(uint8());
        break;
      case 0x4d:
        push(view.getUint16(take(2), true));
        break;
      case 0x4a:
        push(view.getInt32(take(4), true));
        break;
      case 0x8a:
        push(integer(uint8()));
        break;
      case 0x8b:
        push(integer(uint32()));
        break;
      case 0x47:
        push(view.getFloat64(take(8)));
        break;

      case 0x8c:
        push(text(uint8(), 'utf-8'));
        break;
      case 0x58:
        push(text(uint32(), 'utf-8'));
        break;
      case 0x8d:
        push(text(uint64(), 'utf-8'));
        break;
      // Python 2's strings, of which PyTorch's and NumPy's oldest files have some: text, and an array's bytes where they are too long for one.
      case 0x55:
        push(text(uint8(), 'latin1'));
        break;
      case 0x54: {
        const length = uint32();
        push(length > MAX_TEXT ? raw(length) : text(length, 'latin1'));
        break;
      }
      case 0x43:
        push(raw(uint8()));
        break;
      case 0x42:
        push(raw(uint32()));
        break;
      case 0x8e:
      case 0x96:
        push(raw(uint64()));
        break;

      case 0x5d:
      case 0x8f:
      case 0x29:
        push([]);
        break;
      case 0x6c:
      case 0x74:
      case 0x91:
        push(popToMark());
        break;
      case 0x85:
        push([pop()]);
        break;
      case 0x86:
        push([pop(), pop()].reverse());
        break;
      case 0x87:
        push([pop(), pop(), pop()].reverse());
        break;
      case 0x61:
        append([pop()]);
        break;
      case 0x65:
      case 0x90:
        append(popToMark());
        break;
      case 0x7d:
        push(dictionary());
        break;
      case 0x64: {
        const items = popToMark();
        push(dictionary());
        setItems(items);
        break;
      }
      case 0x73:
        setItems([pop(), pop()].reverse());
        break;
      case 0x75:
        setItems(popToMark());
        break;

      case 0x94:
        note(memo.size);
        break;
      case 0x71:
        note(uint8());
        break;
      case 0x72:
        note(uint32());
        break;
      case 0x68:
        recall(uint8());
        break;
      case 0x6a:
        recall(uint32());
        break;

      case 0x63: {
        const module = line();
        find(module, line());
        break;
      }
      case 0x93: {
        const name = pop();
        find(pop(), name);
        break;
      }
      case 0x52:
      case 0x81:
        call();
        break;
      case 0x92: {
        const kwargs = pop();
        if (!isDictionary(kwargs) || Object.keys(kwargs).length > 0) fail('pickle calls a constructor by keywords');
        call();
        break;
      }
      case 0x62:
        build();
        break;
      case 0x51:
        push(options.persistent(pop(), context));
        break;

      default:
        fail(`instruction 0x${code.toString(16).padStart(2, '0')} is not among those that data consist of`);
    }
  }
}

/** Text that a key of a dictionary becomes. */
function keyOf(key: unknown, { fail, budget, offset }: PickleContext): string {
  if (typeof key === 'string') return key;
  if (!isScalar(key) && !(Array.isArray(key) && key.length <= 8 && key.every(isScalar))) {
    return fail(`dictionary has ${kindOf(key)} for a key`);
  }
  const text = Array.isArray(key) ? `(${key.join(', ')})` : String(key);
  budget.allocate(2 * text.length, offset);
  return text;
}

const isScalar = (value: unknown) =>
  value === null ||
  ['boolean', 'number', 'bigint'].includes(typeof value) ||
  (typeof value === 'string' && value.length < 1000);

/** Gives an object attributes: a dictionary, or a pair of dictionaries, the second of slots. */
function setState(object: CheckpointObject, state: unknown, { fail, budget, offset }: PickleContext): void {
  const parts = Array.isArray(state) && state.length === 2 ? state : [state];
  for (const part of parts) {
    if (part === null) continue;
    if (!isDictionary(part)) throw fail(`${object.className} has ${kindOf(part)} for a state`);
    budget.allocate(16 * Object.keys(part).length, offset);
    Object.assign(object.state, part);
  }
}

const isBuildable = (value: unknown): value is Buildable =>
  typeof value === 'object' && value !== null && !isDictionary(value) && 'build' in value;

/** What a value is, for a message. */
export function kindOf(value: unknown): string {
  if (value === null) return 'None';
  if (value instanceof Constructor) return value.name;
  if (value instanceof CheckpointObject) return quote(value.className);
  if (value instanceof CheckpointTensor) return 'a tensor';
  if (value instanceof Uint8Array) return 'bytes';
  if (Array.isArray(value)) return 'a list';
  if (isDictionary(value)) return 'a dictionary';
  if (typeof value === 'object') return value?.constructor.name ?? 'an object';
  return quote(typeof value === 'bigint' ? String(value) : value);
}

/** A signed little-endian integer of any length; a number where float64 holds it. */
function littleEndian(bytes: Uint8Array): number | bigint {
  if (bytes.length === 0) return 0;
  let hex = '';
  for (let i = bytes.length - 1; i >= 0; i--) hex += bytes[i]!.toString(16).padStart(2, '0');
  const value = BigInt.asIntN(8 * bytes.length, BigInt(`0x${hex}`));
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
/** Python lets lone surrogates through; they become U+FFFD here. */
const utf8 = (bytes: Uint8Array) => decoder.decode(bytes);

/** Text of bytes, one character each. */
export function latin1(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
