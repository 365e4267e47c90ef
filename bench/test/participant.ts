import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { serve } from '../serve';

// A participant of the tests: it says that its work took so many milliseconds and gave such a number, or goes wrong.

const [what, found] = process.argv.slice(2);
if (what === 'absent') throw new Error('not set up');
await serve(
  {
    work: () => {
      if (what === 'hangs') return new Promise<number>(() => {});
      if (what === 'fails') throw new Error('cannot');
      if (what === 'dies') process.exit(1);
      if (what === 'input') return Number(readFileSync(join(process.env.BENCH_INPUTS!, 'milliseconds'), 'utf8'));
      return Number(what);
    },
  },
  { about: 'a participant', check: () => [Number(found)] },
);
