/** The whole training step of `@cm/torch`'s bench. */
export const STEP = 'training step';

/** What is compared, of the cases of `@cm/torch`'s bench. */
export const names = [
  'matrix product, 1024',
  'convolution 3 × 3, 64 channels at 32 × 32: forward',
  'convolution 3 × 3, 64 channels at 32 × 32: by the input',
  'convolution 3 × 3, 64 channels at 32 × 32: by the filter',
  STEP,
] as const;
