/** A process that measures: a script of this folder and its arguments. Its cases are those that it announces. */
export interface Participant {
  readonly script: string;
  readonly args?: readonly string[];
  /** What a user would pick instead of this library. Default false: it is this library. */
  readonly rival?: boolean;
}

/** What is measured in one run, all participants taking turns. */
export interface Suite {
  readonly name: string;
  readonly title: string;
  /** Of the values: less is better. */
  readonly unit: 'ms' | 's';
  readonly participants: Readonly<Record<string, Participant>>;
}

const suite = (
  name: string,
  title: string,
  participants: Suite['participants'],
  unit: Suite['unit'] = 'ms',
): Suite => ({
  name,
  title,
  unit,
  participants,
});

const ours = (script: string, ...args: string[]): Participant => ({ script: `suites/${script}.ts`, args });
const theirs = (script: string, ...args: string[]): Participant => ({
  script: `suites/${script}.py`,
  args,
  rival: true,
});

/** Everything that this project states a speed or a memory figure of. */
export const suites: readonly Suite[] = [
  suite('step', 'A training step of an EDM2 network of 64 channels at 32 × 32, batch 16', {
    torch: ours('step', 'torch'),
    'torch, bfloat16': ours('step', 'torch', 'bfloat16'),
    wasm: ours('step', 'wasm'),
    'PyTorch, eager': theirs('step'),
    'PyTorch, channels-last': theirs('step', '--channels-last'),
    'PyTorch, compiled': theirs('step', '--channels-last', '--compile'),
    'PyTorch, bfloat16': theirs('step', '--channels-last', '--bf16'),
  }),
  suite('sampling', 'Samples of the same network, 16 at once', {
    torch: ours('sampling', 'torch'),
    'torch, bfloat16': ours('sampling', 'torch', 'bfloat16'),
    wasm: ours('sampling', 'wasm'),
    'PyTorch, channels-last': theirs('sampling', '--channels-last'),
    'PyTorch, bfloat16': theirs('sampling', '--channels-last', '--bf16'),
  }),
  suite('stable-target', 'The stable target of a batch of 128 images of 3,072 values', {
    torch: ours('stable-target', 'torch'),
    wasm: ours('stable-target', 'wasm'),
    'PyTorch, differences': theirs('stable-target', 'differences'),
    'PyTorch, products': theirs('stable-target', 'products'),
  }),
  suite('fid', 'Features of 32 images, and the Fréchet distance of 2,048 features', {
    torch: ours('fid', 'torch'),
    wasm: ours('fid', 'wasm'),
    'torch-fidelity, SciPy': theirs('fid'),
  }),
  suite('loader', 'A batch of 128 CIFAR-10 images from memory, mirrored at random', {
    '@cm/datasets': ours('loader'),
    'PyTorch DataLoader': theirs('loader'),
  }),
  suite('checkpoints', 'Opening 256 MB of parameters: from the file to tensors', {
    '@cm/checkpoints': ours('checkpoints'),
    'PyTorch, safetensors': theirs('checkpoints'),
  }),
  suite('random', 'Ten million normal numbers', {
    '@cm/random': ours('normal'),
    'tfjs, CPU backend': { ...ours('normal', 'tfjs'), rival: true },
    PyTorch: theirs('normal', 'torch'),
    NumPy: theirs('normal', 'numpy'),
  }),
  suite('start-up', 'From nothing to the first result', {
    'Node.js': ours('start-up'),
    Python: theirs('start-up'),
  }),
];
