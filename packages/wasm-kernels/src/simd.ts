/** 128-bit SIMD as every engine has it, or with relaxed SIMD's fused multiply-add. */
export type Simd = 'plain' | 'relaxed';

// A function that returns f32x4.relaxed_madd of three zeros.
const relaxedProbe = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 19, 1, 17, 0],
  ...[65, 0, 253, 15, 65, 0, 253, 15, 65, 0, 253, 15, 253, 133, 2, 11],
);

interface NodeProcess {
  readonly versions?: { readonly node?: string };
  getBuiltinModule?(id: 'node:v8'): { setFlagsFromString(flags: string): void };
}

/** Whether this engine compiles relaxed SIMD. Node 20 does behind a flag of V8, which is set when this asks; later ones refuse the flag. */
export function hasRelaxedSimd(): boolean {
  if (WebAssembly.validate(relaxedProbe)) return true;
  const { process } = globalThis as { process?: NodeProcess };
  if (!process?.versions?.node?.startsWith('20.')) return false;
  process.getBuiltinModule?.('node:v8').setFlagsFromString('--experimental-wasm-relaxed-simd');
  return WebAssembly.validate(relaxedProbe);
}
