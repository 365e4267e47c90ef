import { readFileSync } from 'node:fs';

// Instructions go by the compiler's names, in lower case without underscores: avx2, avx512bf16. The kernel's are the same but for underscores.

/** The vector instructions that code may use, by the compiler's macros (`-dM -E`). */
export const instructionsIn = (macros: string): string[] =>
  [...macros.matchAll(/^#define __(AVX\w*?|FMA)__ /gm)].map(([, name]) => name!.toLowerCase().replaceAll('_', ''));

/** Those that this processor has; undefined where the system does not tell. */
function present(): Set<string> | undefined {
  try {
    const [, flags] = /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8')) ?? [];
    return flags === undefined ? undefined : new Set(flags.replaceAll('_', '').split(' '));
  } catch {
    return undefined;
  }
}

/** Those of `used` that this processor lacks. */
export function lackingInstructions(used: readonly string[]): string[] {
  const here = present();
  return here ? used.filter((name) => !here.has(name)) : [];
}
