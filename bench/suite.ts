/** A process that measures: a script of this folder and its arguments. Its cases are those that it announces. */
export interface Participant {
  readonly script: string;
  readonly args?: readonly string[];
  /** Variables of its environment, beyond those of all. */
  readonly environment?: Readonly<Record<string, string>>;
  /** What a user would pick instead of this library. Default false: it is this library. */
  readonly rival?: boolean;
  /** Computes in bfloat16: what it finds may differ by more. */
  readonly coarse?: boolean;
}

/** What is measured in one run, all participants taking turns. */
export interface Suite {
  readonly name: string;
  readonly title: string;
  /** Of the values. Participants say milliseconds; where `items` is given, that many a millisecond's measurement are told a second. */
  readonly unit: string;
  readonly items?: number;
  /** Turns of each, where none are asked for. */
  readonly rounds: number;
  /** A script that writes the files, into the folder that it is given, which all participants read: so that they do the same work. */
  readonly inputs?: string;
  readonly participants: Readonly<Record<string, Participant>>;
  /** Why this library is slower, or takes more memory (`memory`), by case: what is told where the measurement says that it is. */
  readonly reasons?: Readonly<Record<string, string>>;
}

const ours = (script: string, ...args: string[]): Participant => ({
  script: `suites/${script}.ts`,
  args,
  coarse: args.includes('bfloat16'),
});
const theirs = (script: string, ...args: string[]): Participant => ({
  script: `suites/${script}.py`,
  args,
  rival: true,
  coarse: args.includes('--bf16'),
});

/** glibc's allocator keeping what it is given back, which PyTorch's users set for training on CPUs. */
const keepingMemory = {
  MALLOC_MMAP_THRESHOLD_: '4294967296',
  MALLOC_TRIM_THRESHOLD_: '4294967296',
  MALLOC_TOP_PAD_: '268435456',
};

/** Everything that is measured beside what one would pick instead. */
export const suites: readonly Suite[] = [
  {
    name: 'step',
    title: 'A training step of an EDM2 network of 64 channels at 32 × 32, batch 16',
    unit: 'ms',
    rounds: 5,
    inputs: 'suites/step-inputs.ts',
    participants: {
      torch: ours('step', 'torch'),
      'torch, bfloat16': ours('step', 'torch', 'bfloat16'),
      wasm: ours('step', 'wasm'),
      tensorflow: ours('step', 'tensorflow'),
      'PyTorch, eager': theirs('step'),
      'PyTorch, channels-last': theirs('step', '--channels-last'),
      'PyTorch, compiled': theirs('step', '--channels-last', '--compile'),
      'PyTorch, compiled, keeping memory': {
        ...theirs('step', '--channels-last', '--compile'),
        environment: keepingMemory,
      },
      'PyTorch, bfloat16': theirs('step', '--channels-last', '--bf16'),
    },
  },
  {
    name: 'sampling',
    title: 'Samples of the same network, 16 at once',
    unit: 'images/s',
    items: 16,
    rounds: 3,
    inputs: 'suites/step-inputs.ts',
    participants: {
      torch: ours('sampling', 'torch'),
      'torch, bfloat16': ours('sampling', 'torch', 'bfloat16'),
      wasm: ours('sampling', 'wasm'),
      'PyTorch, channels-last': theirs('sampling', '--channels-last'),
      'PyTorch, compiled': theirs('sampling', '--channels-last', '--compile'),
      'PyTorch, bfloat16': theirs('sampling', '--channels-last', '--bf16'),
    },
  },
  {
    name: 'stable-target',
    title: 'The stable target of a batch of 128 images of 3,072 values',
    unit: 'ms',
    rounds: 5,
    inputs: 'suites/stable-target-inputs.ts',
    participants: {
      torch: ours('stable-target', 'torch'),
      wasm: ours('stable-target', 'wasm'),
      'PyTorch, differences': theirs('stable-target', 'differences'),
      'PyTorch, products': theirs('stable-target', 'products'),
    },
    reasons: {
      '5,000 references':
        'Both are bound by two matrix products. Here they are centred and taken relative to the own sample, in chunks, so that float32 is exact at small t; PyTorch’s plain products are not.',
    },
  },
  {
    name: 'features',
    title: 'Inception-v3’s 2,048 features of 32 images of 32 × 32',
    unit: 'images/s',
    items: 32,
    rounds: 3,
    inputs: 'suites/features-inputs.ts',
    participants: {
      torch: ours('features', 'torch'),
      wasm: ours('features', 'wasm'),
      'torch-fidelity': theirs('features'),
    },
  },
  {
    name: 'dino',
    title: 'DINOv2’s features (ViT-B/14) of 8 images of 224 × 224',
    unit: 'images/s',
    items: 8,
    rounds: 3,
    inputs: 'suites/dino-inputs.ts',
    participants: {
      torch: ours('dino', 'torch'),
      wasm: ours('dino', 'wasm'),
      'PyTorch, transformers': theirs('dino'),
    },
  },
  {
    name: 'distance',
    title: 'The Fréchet distance of Gaussians of 2,048 dimensions',
    unit: 'ms',
    rounds: 3,
    inputs: 'suites/distance-inputs.ts',
    participants: {
      '@cm/fid, JavaScript': ours('distance'),
      'SciPy, sqrtm': theirs('distance', 'sqrtm'),
      'SciPy, symmetric eigenvalues': theirs('distance', 'eigh'),
    },
    reasons: {
      distance:
        'It is plain JavaScript on one thread, so that it is the same in browsers; LAPACK works in blocks, on vectors of 512 bits and both cores. Against SciPy’s `sqrtm`, which the common FID tools call, it is faster. It is computed once for an evaluation.',
      memory: 'Node itself, and work in JavaScript’s own arrays.',
    },
  },
  {
    name: 'loader',
    title: 'Batches of 128 CIFAR-10 images from memory, mirrored at random',
    unit: 'images/s',
    items: 128,
    rounds: 5,
    participants: {
      '@cm/datasets': ours('loader'),
      'PyTorch DataLoader': theirs('loader', '0'),
      'PyTorch DataLoader, 2 workers': theirs('loader', '2'),
    },
  },
  {
    name: 'checkpoints',
    title: 'Opening 256 MiB of parameters in 64 tensors',
    unit: 'ms',
    rounds: 5,
    participants: {
      '@cm/checkpoints': ours('checkpoints'),
      'PyTorch, safetensors': theirs('checkpoints'),
    },
    reasons: {
      'a PyTorch state dictionary, every value read':
        'Every storage is read into new memory and copied into libtorch’s; PyTorch reads each into the tensor’s own memory, which its allocator has from the reading before.',
      'safetensors, every value read':
        'Every tensor is read into new memory and copied into libtorch’s; the safetensors library maps the file, so that nothing is copied. Mapping needs a native module, which @cm/checkpoints, that runs in browsers too, does without.',
      'safetensors, names and shapes':
        'Both read the header alone; ours is JSON that JavaScript parses and checks for duplicate names, in less than a millisecond.',
      memory: 'The file and its tensors are there at once.',
    },
  },
  {
    name: 'random',
    title: 'Ten million normal numbers',
    unit: 'ms',
    rounds: 5,
    participants: {
      '@cm/random': ours('normal'),
      'tfjs, CPU backend': { ...ours('normal', 'tfjs'), rival: true },
      PyTorch: theirs('normal', 'torch'),
      NumPy: theirs('normal', 'numpy'),
    },
    reasons: {
      'ten million':
        'They are made on one thread in WebAssembly, of 128-bit vectors, so that the bits are the same everywhere; PyTorch’s vectors are four times as wide.',
      memory: 'Node with a WebAssembly module and its copy of the numbers, against NumPy alone.',
    },
  },
  {
    name: 'start-up',
    title: 'From nothing to the first result',
    unit: 'ms',
    rounds: 5,
    participants: {
      'Node.js and @cm/torch': ours('start-up', 'torch'),
      'Node.js and @cm/wasm-kernels': ours('start-up', 'wasm'),
      'Python and PyTorch': theirs('start-up'),
    },
  },
];
