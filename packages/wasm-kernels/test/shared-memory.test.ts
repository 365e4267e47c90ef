import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { useWasm } from '@cm/testing';
import { registerWasmKernels, setWasmBackend } from '@cm/wasm-kernels';
import { expect, it } from 'vitest';
import { shareMemory } from '../src/shared-memory';

const backend = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm');
const binary = () => new Uint8Array(readFileSync(backend.replace(/[^/\\]*$/, 'tfjs-backend-wasm-simd.wasm')));

it('a memory of the module becomes shared by one bit of the binary', () => {
  const [before, after] = [binary(), binary()];
  shareMemory(after);
  expect(after.filter((byte, at) => byte !== before[at])).toEqual(Uint8Array.of(3));
  expect(WebAssembly.validate(after)).toBe(true);
});

const header = [0, 97, 115, 109, 1, 0, 0, 0];
// An import "m" "x" of a table, a global and a memory of 1 page or more, at most `maximum`.
const imports = (...limits: number[]) => {
  const table = [1, 109, 1, 120, 1, 0x70, 1, 0, 9];
  const global = [1, 109, 1, 120, 3, 0x7f, 0];
  const memory = [1, 109, 1, 120, 2, ...limits];
  const section = [3, ...table, ...global, ...memory];
  return Uint8Array.of(...header, 2, section.length, ...section);
};

it('so does one that it imports, behind tables and globals', () => {
  const bytes = imports(1, 1, 5);
  shareMemory(bytes);
  const of = (shared: boolean) => new WebAssembly.Memory({ initial: 1, maximum: 5, shared });
  const table = new WebAssembly.Table({ element: 'anyfunc', initial: 1, maximum: 9 });
  // One name for all three: each import is asked for in turn.
  const instance = (memory: WebAssembly.Memory) => {
    const values = [table, 0, memory];
    const m = {
      get x() {
        return values.shift();
      },
    };
    return new WebAssembly.Instance(new WebAssembly.Module(bytes), { m } as unknown as WebAssembly.Imports);
  };
  expect(() => instance(of(true))).not.toThrow();
  expect(() => instance(of(false))).toThrow('shared');
});

it('a memory without a maximum cannot be shared, nor can none', () => {
  expect(() => shareMemory(imports(0, 1))).toThrow('no memory with a maximum');
  expect(() => shareMemory(Uint8Array.of(...header))).toThrow('no memory with a maximum');
});

it('a backend of one thread stays one', async () => {
  await useWasm();
  const refusal = "threads is 2, but the wasm backend's memory is not shared; start it with setWasmBackend";
  await expect(registerWasmKernels({ threads: 2 })).rejects.toThrow(refusal);
  await expect(setWasmBackend({ threads: 2 })).rejects.toThrow(refusal);
  expect((await setWasmBackend()).threads).toBe(1);
});
