import { bytesOf } from './dtypes';
import { CheckpointError, quote } from './error';
import { type Budget, MAX_DEPTH, MAX_VALUES } from './limits';
import { NumpyArray } from './numpy-pickle';
import { kindOf } from './pickle';
import { sizeOf } from './strided';
import {
  CheckpointObject,
  CheckpointTensor,
  type CheckpointValue,
  type ConstructorArguments,
  dictionary,
  isDictionary,
} from './values';

/** What a value amounts to when it is written out, all that is shared counted each time. */
interface Extent {
  readonly values: number;
  readonly height: number;
  readonly tensors: number;
  /** Of the tensors' data, and of their names below this value. */
  readonly bytes: number;
}

/**
 * Makes a tree of what a pickle left: checks that it is one (values only, no cycle, not deeper or larger than the limits, shared parts
 * counted each time they come, for whoever walks it meets them each time) and puts arrays in the place of what was to become one.
 *
 * @throws CheckpointError
 */
export function settle(root: unknown, budget: Budget): CheckpointValue {
  /** Of every container that has been visited; `open` while it is. */
  const known = new Map<object, Extent | 'open'>();
  const fail = (reason: string): never => {
    throw new CheckpointError(reason, 0);
  };
  const leaf: Extent = { values: 1, height: 1, tensors: 0, bytes: 0 };

  /** The value that stands for another in the tree. */
  const settled = (value: unknown): unknown =>
    value instanceof NumpyArray ? (value.tensor ?? fail('NumPy array has no data')) : value;

  const visitAll = (items: Record<string, unknown> | unknown[], depth: number): Extent => {
    let [values, height, tensors, bytes] = [1, 0, 0, 0];
    for (const key of Array.isArray(items) ? items.keys() : Object.keys(items)) {
      const table = items as Record<string | number, unknown>;
      const value = settled(table[key]);
      if (value !== table[key]) table[key] = value;
      const extent = visit(value, depth + 1);
      values += extent.values;
      height = Math.max(height, extent.height);
      tensors += extent.tensors;
      bytes += extent.bytes + extent.tensors * (String(key).length + 1);
    }
    return { values, height: height + 1, tensors, bytes };
  };

  const visit = (value: unknown, depth: number): Extent => {
    if (depth > MAX_DEPTH) fail(`tree is deeper than ${MAX_DEPTH}`);
    if (value === null || ['boolean', 'number', 'bigint', 'string'].includes(typeof value)) return leaf;
    if (value instanceof Uint8Array) return { ...leaf, bytes: value.length };
    if (value instanceof CheckpointTensor) {
      return { ...leaf, tensors: 1, bytes: sizeOf(value.shape) * bytesOf[value.dtype] };
    }
    const container = value as object;
    const seen = known.get(container);
    if (seen === 'open') return fail('tree contains itself');
    if (seen) return seen;
    known.set(container, 'open');
    let extent: Extent;
    if (Array.isArray(container) || isDictionary(container)) extent = visitAll(container, depth);
    else if (container instanceof CheckpointObject) extent = visitAll(container.state, depth);
    else return fail(`tree has ${kindOf(value)}, which is no data`);
    if (!(extent.values <= MAX_VALUES)) fail(`tree has more than ${MAX_VALUES} values`);
    if (extent.height > MAX_DEPTH) fail(`tree is deeper than ${MAX_DEPTH}`);
    known.set(container, extent);
    return extent;
  };

  const tree = settled(root);
  const { bytes } = visit(tree, 0);
  budget.allocate(bytes, 0);
  return tree as CheckpointValue;
}

/** Whether an object is a PyTorch module: one with parameters, buffers and modules of its own. */
const isModule = (value: unknown): value is CheckpointObject =>
  value instanceof CheckpointObject && '_parameters' in value.state && '_modules' in value.state;

/**
 * The tensors below a value of a tree, by name: path of keys and positions, joined by dots. Of a PyTorch module they are those of its
 * state dictionary: parameters and persistent buffers, without the names of the tables that hold them.
 *
 * @throws CheckpointError when two tensors come to the same name
 */
export function tensorsOf(value: CheckpointValue): Readonly<Record<string, CheckpointTensor>> {
  const tensors: Record<string, CheckpointTensor> = Object.create(null);
  const visit = (item: unknown, name: string) => {
    if (item instanceof CheckpointTensor) {
      if (name in tensors) throw new CheckpointError(`two tensors are named ${quote(name)}`, 0);
      tensors[name] = item;
    } else for (const [key, child] of children(item)) visit(child, name === '' ? key : `${name}.${key}`);
  };
  visit(value, '');
  return tensors;
}

/** What lies below a value: of a module, what its state dictionary has. */
function children(value: unknown): [string, unknown][] {
  if (isModule(value)) {
    const { _parameters, _buffers, _modules, _non_persistent_buffers_set: hidden } = value.state;
    const transient = new Set<unknown>(Array.isArray(hidden) ? hidden : []);
    const buffers = entriesOf(_buffers).filter(([name]) => !transient.has(name));
    return [...entriesOf(_parameters), ...buffers, ...entriesOf(_modules)];
  }
  if (value instanceof CheckpointObject) return Object.entries(value.state);
  return Array.isArray(value) ? [...value.entries()].map(([i, item]) => [String(i), item]) : entriesOf(value);
}

const entriesOf = (value: unknown): [string, unknown][] => (isDictionary(value) ? Object.entries(value) : []);

/** What {@link locate} finds. */
export interface Located {
  /** Path of the value whose tensors they are: `ema`; empty for the whole tree. */
  readonly root: string;
  readonly value: CheckpointValue;
  /** What lies beside tensors on the way. */
  readonly metadata: Readonly<Record<string, CheckpointValue>>;
  readonly init: ConstructorArguments | undefined;
}

/**
 * The value whose tensors are meant: the one at a path, or without one the end of the dictionaries of which one entry alone has tensors, so
 * that a file of one network gives the network's own names.
 *
 * @throws CheckpointError when nothing is at the path
 */
export function locate(tree: CheckpointValue, at?: string): Located {
  const metadata = dictionary();
  const has = tensorFinder();
  let value = tree;
  let root = '';
  const path = (key: string) => (root === '' ? key : `${root}.${key}`);
  /** The entry to go into: the one that leads to the path, or the only one. */
  const next = (entries: readonly [string, unknown][]): [string, unknown] | undefined => {
    if (at !== undefined) return entries.find(([key]) => at === path(key) || at.startsWith(`${path(key)}.`));
    const full = entries.filter(([, item]) => has(item));
    const isOnly = isDictionary(value) && full.length === 1;
    return isOnly && (isDictionary(full[0]![1]) || full[0]![1] instanceof CheckpointObject) ? full[0] : undefined;
  };
  for (;;) {
    const entries = children(value);
    if (isDictionary(value)) {
      for (const [key, item] of entries) if (!has(item)) metadata[path(key)] = item as CheckpointValue;
    }
    const entry = root === at ? undefined : next(entries);
    if (!entry) break;
    root = path(entry[0]);
    value = entry[1] as CheckpointValue;
  }
  if (at !== undefined && root !== at) {
    throw new CheckpointError(
      `nothing is at ${quote(at)}; below ${quote(root)} are ${quote(children(value).map(([key]) => key))}`,
      0,
    );
  }
  return { root, value, metadata, init: value instanceof CheckpointObject ? value.init : undefined };
}

/**
 * Whether a value has tensors of a network, each value asked for once. Objects that are no modules have none: EDM2's encoders carry arrays of
 * their own beside the network.
 */
function tensorFinder(): (value: unknown) => boolean {
  const known = new Map<unknown, boolean>();
  const has = (value: unknown): boolean => {
    if (value instanceof CheckpointTensor) return true;
    if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return false;
    if (value instanceof CheckpointObject && !isModule(value)) return false;
    const seen = known.get(value);
    if (seen !== undefined) return seen;
    const found = children(value).some(([, child]) => has(child));
    known.set(value, found);
    return found;
  };
  return has;
}
