import { CheckpointError } from './error';

/** Deepest nesting of values: the networks that are read nest about thirty deep. */
export const MAX_DEPTH = 256;

/** Values that a tree may have when written out, what is shared counted each time. */
export const MAX_VALUES = 1_000_000;

/** Instructions of all pickles of a file together. A network of two thousand tensors takes about 200,000. */
export const MAX_INSTRUCTIONS = 1_000_000;

/** Longest text and longest name of a tensor. Sources that NVIDIA's files carry are the longest text met, at 100 kB. */
export const MAX_TEXT = 16 * 2 ** 20;

/** What may be spent on a file: every loop and every allocation that its bytes ask for is paid from here. */
export interface Budget {
  /** Bytes that its values may take beyond the file's own, at most. */
  readonly maxBytes: number;
  /** Takes bytes from what may be allocated. @throws CheckpointError when they are too many */
  allocate(bytes: number, offset: number): void;
  /** Counts an instruction of a pickle. @throws CheckpointError when they are too many */
  instruction(offset: number): void;
}

/** What is spent by default on a file: eight times its size, and 256 MiB where that is more. */
export const defaultMaxBytes = (fileBytes: number) => Math.max(256 * 2 ** 20, 8 * fileBytes);

/** A budget of which nothing is spent. */
export function budgetOf(maxBytes: number): Budget {
  let bytes = 0;
  let instructions = 0;
  return {
    maxBytes,
    allocate(more, offset) {
      bytes += more;
      if (!(bytes <= maxBytes))
        throw new CheckpointError(`file asks for more than ${maxBytes} bytes of memory`, offset);
    },
    instruction(offset) {
      if (++instructions > MAX_INSTRUCTIONS) {
        throw new CheckpointError(`file has more than ${MAX_INSTRUCTIONS} instructions`, offset);
      }
    },
  };
}
