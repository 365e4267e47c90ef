export { onEveryBackend } from './backends';
export { expectClose, expectNoLeak, relativeError } from './compare';
export { type FixtureTensor, readJsonFixture, readSafetensorsFixture } from './fixtures';
export { fnv1a32, u, unit } from './formula';
export { docstringExamplesOf, type Example, examplesOf, runExamples, runReadmeExamples } from './readme';
export { useWasm } from './wasm';
