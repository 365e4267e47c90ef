import { isInstalled } from '@cm/torch';

/** Says, before any test runs, what this machine has no means for. */
export default function leftOut(): void {
  if (!isInstalled()) console.warn('Left out: tests on libtorch, which is not set up (`pnpm torch:setup` does that).');
}
