import { DatasetError } from './error';

/** What {@link readPickle} makes of a pickle: data only. A Python 2 string is bytes; a tuple is an array; an object is inert. */
export type PickleValue =
  | null
  | boolean
  | number
  | Uint8Array
  | PickleValue[]
  | Map<string, PickleValue>
  | PickleGlobal
  | PickleObject;

/** A name that the pickle refers to, `module name`; nothing is looked up. */
export class PickleGlobal {
  constructor(readonly name: string) {}
}

/** A call that the pickle asks for, and the state that it would give the result; nothing is called. */
export class PickleObject {
  state: PickleValue = null;
  constructor(
    readonly constructorName: string,
    readonly args: PickleValue,
  ) {}
}

/** The place in the stack where a list, tuple or dictionary begins. */
const mark = Symbol('mark');

type StackItem = PickleValue | typeof mark;

/**
 * Reads the pickles that Python 2 wrote of dictionaries, lists, strings, small numbers and NumPy arrays: the 24 instructions that those
 * consist of, in protocol 2. Nothing is imported or executed. Everything that is allocated is bounded by the length of the file.
 *
 * @throws DatasetError at any other instruction, and when the file is cut short or makes no sense.
 */
export function readPickle(bytes: Uint8Array): PickleValue {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const stack: StackItem[] = [];
  const memo = new Map<number, PickleValue>();
  let at = 0;

  const fail = (reason: string): never => {
    throw new DatasetError(`readPickle: ${reason} at byte ${at}`);
  };
  const take = (count: number): number => {
    if (count < 0 || at + count > bytes.length) fail(`the file ends ${at + count - bytes.length} bytes early`);
    at += count;
    return at - count;
  };
  const byte = () => view.getUint8(take(1));
  const int32 = () => view.getInt32(take(4), true);
  const string = (length: number): Uint8Array => {
    const start = take(length);
    return bytes.subarray(start, at);
  };
  const line = (): string => {
    const end = bytes.indexOf(0x0a, at);
    if (end < 0) fail('a name has no end');
    const start = take(end + 1 - at);
    return latin1(bytes.subarray(start, end));
  };
  const pop = (): PickleValue => {
    const item = stack.pop();
    if (item === undefined || item === mark) return fail('a value is missing');
    return item;
  };
  const popToMark = (): PickleValue[] => {
    const start = stack.lastIndexOf(mark);
    if (start < 0) fail('a beginning is missing');
    return stack.splice(start).slice(1) as PickleValue[];
  };
  const top = <T extends PickleValue>(is: (item: unknown) => item is T, what: string): T => {
    const item = stack[stack.length - 1];
    return is(item) ? item : fail(`${what} is missing`);
  };
  const recall = (index: number) => {
    const item = memo.get(index);
    stack.push(item === undefined ? fail(`nothing was noted as ${index}`) : item);
  };
  const note = (index: number) => {
    const item = pop();
    memo.set(index, item);
    stack.push(item);
  };
  const setItems = (items: readonly PickleValue[]) => {
    const dictionary = top((item) => item instanceof Map, 'a dictionary');
    if (items.length % 2 !== 0) fail('a key has no value');
    for (let i = 0; i < items.length; i += 2) {
      const name = items[i];
      if (!(name instanceof Uint8Array)) return fail('a key is no string');
      dictionary.set(latin1(name), items[i + 1]!);
    }
  };

  if (byte() !== 0x80 || byte() !== 2) fail('expected a pickle of protocol 2');
  for (;;) {
    const code = byte();
    switch (String.fromCharCode(code)) {
      case '.':
        return pop();
      case '(':
        stack.push(mark);
        break;
      case 'N':
        stack.push(null);
        break;
      case '\x88':
      case '\x89':
        stack.push(code === 0x88);
        break;
      case 'K':
        stack.push(byte());
        break;
      case 'M':
        stack.push(view.getUint16(take(2), true));
        break;
      case 'J':
        stack.push(int32());
        break;
      case 'U':
        stack.push(string(byte()));
        break;
      case 'T':
        stack.push(string(int32()));
        break;
      case ']':
        stack.push([]);
        break;
      case 'a':
      case 'e': {
        const items = code === 0x61 ? [pop()] : popToMark();
        const list = top(Array.isArray, 'a list') as PickleValue[];
        for (const item of items) list.push(item);
        break;
      }
      case 't':
        stack.push(popToMark());
        break;
      case '\x85':
      case '\x86':
      case '\x87':
        stack.push(Array.from({ length: code - 0x84 }, pop).reverse());
        break;
      case '}':
        stack.push(new Map());
        break;
      case 's':
        setItems([pop(), pop()].reverse());
        break;
      case 'u':
        setItems(popToMark());
        break;
      case 'q':
        note(byte());
        break;
      case 'r':
        note(view.getUint32(take(4), true));
        break;
      case 'h':
        recall(byte());
        break;
      case 'j':
        recall(view.getUint32(take(4), true));
        break;
      case 'c':
        stack.push(new PickleGlobal(`${line()} ${line()}`));
        break;
      case 'R': {
        const args = pop();
        const callee = pop();
        if (!(callee instanceof PickleGlobal)) return fail('a call is of no name');
        stack.push(new PickleObject(callee.name, args));
        break;
      }
      case 'b': {
        const state = pop();
        top((item) => item instanceof PickleObject, 'an object').state = state;
        break;
      }
      default:
        fail(
          `instruction 0x${code.toString(16).padStart(2, '0')} is not one of those that the data set's files consist of`,
        );
    }
  }
}

/** Text of bytes, one character each. */
export function latin1(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
