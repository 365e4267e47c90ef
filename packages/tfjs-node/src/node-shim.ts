import { createRequire } from 'node:module';

/** Functions of Node's `util` that tfjs-node calls: Node 22 warns of them, Node 23 has removed them. */
const removed = {
  isArray: Array.isArray,
  isNullOrUndefined: (value: unknown) => value === null || value === undefined,
};

/** Gives `util` back what Node 23 removed from it, before tfjs-node is loaded. */
export function restoreUtil(): void {
  // The module object itself, which `require('util')` gives to tfjs-node, too: an import would be a view of it that cannot be changed.
  Object.assign(createRequire(import.meta.url)('node:util') as object, removed);
}
