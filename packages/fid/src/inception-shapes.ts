/** [outputs, inputs, height, width] of a convolution's weight, PyTorch's order. */
type FilterShape = readonly [outputs: number, inputs: number, height: number, width: number];
type Filters = Readonly<Record<string, FilterShape>>;

const within = (block: string, filters: Filters): Filters =>
  Object.fromEntries(Object.entries(filters).map(([name, shape]) => [`${block}.${name}`, shape]));

const blockA = (inputs: number, pool: number): Filters => ({
  branch1x1: [64, inputs, 1, 1],
  branch5x5_1: [48, inputs, 1, 1],
  branch5x5_2: [64, 48, 5, 5],
  branch3x3dbl_1: [64, inputs, 1, 1],
  branch3x3dbl_2: [96, 64, 3, 3],
  branch3x3dbl_3: [96, 96, 3, 3],
  branch_pool: [pool, inputs, 1, 1],
});

const blockC = (middle: number): Filters => ({
  branch1x1: [192, 768, 1, 1],
  branch7x7_1: [middle, 768, 1, 1],
  branch7x7_2: [middle, middle, 1, 7],
  branch7x7_3: [192, middle, 7, 1],
  branch7x7dbl_1: [middle, 768, 1, 1],
  branch7x7dbl_2: [middle, middle, 7, 1],
  branch7x7dbl_3: [middle, middle, 1, 7],
  branch7x7dbl_4: [middle, middle, 7, 1],
  branch7x7dbl_5: [192, middle, 1, 7],
  branch_pool: [192, 768, 1, 1],
});

const blockE = (inputs: number): Filters => ({
  branch1x1: [320, inputs, 1, 1],
  branch3x3_1: [384, inputs, 1, 1],
  branch3x3_2a: [384, 384, 1, 3],
  branch3x3_2b: [384, 384, 3, 1],
  branch3x3dbl_1: [448, inputs, 1, 1],
  branch3x3dbl_2: [384, 448, 3, 3],
  branch3x3dbl_3a: [384, 384, 1, 3],
  branch3x3dbl_3b: [384, 384, 3, 1],
  branch_pool: [192, inputs, 1, 1],
});

/** The 94 convolutions of the network by name. */
export const inceptionFilters: Filters = {
  Conv2d_1a_3x3: [32, 3, 3, 3],
  Conv2d_2a_3x3: [32, 32, 3, 3],
  Conv2d_2b_3x3: [64, 32, 3, 3],
  Conv2d_3b_1x1: [80, 64, 1, 1],
  Conv2d_4a_3x3: [192, 80, 3, 3],
  ...within('Mixed_5b', blockA(192, 32)),
  ...within('Mixed_5c', blockA(256, 64)),
  ...within('Mixed_5d', blockA(288, 64)),
  ...within('Mixed_6a', {
    branch3x3: [384, 288, 3, 3],
    branch3x3dbl_1: [64, 288, 1, 1],
    branch3x3dbl_2: [96, 64, 3, 3],
    branch3x3dbl_3: [96, 96, 3, 3],
  }),
  ...within('Mixed_6b', blockC(128)),
  ...within('Mixed_6c', blockC(160)),
  ...within('Mixed_6d', blockC(160)),
  ...within('Mixed_6e', blockC(192)),
  ...within('Mixed_7a', {
    branch3x3_1: [192, 768, 1, 1],
    branch3x3_2: [320, 192, 3, 3],
    branch7x7x3_1: [192, 768, 1, 1],
    branch7x7x3_2: [192, 192, 1, 7],
    branch7x7x3_3: [192, 192, 7, 1],
    branch7x7x3_4: [192, 192, 3, 3],
  }),
  ...within('Mixed_7b', blockE(1280)),
  ...within('Mixed_7c', blockE(2048)),
};

/**
 * Names and shapes of the parameters of the FID graph's Inception-v3, those of the file `pt_inception-2015-12-05-6726825d.pth`: of each
 * of 94 convolutions a weight (outputs, inputs, height, width) and a batch norm, of the last layer a weight and a bias.
 */
export const inceptionParameterShapes: Readonly<Record<string, readonly number[]>> = Object.fromEntries([
  ...Object.entries(inceptionFilters).flatMap(([name, shape]): [string, readonly number[]][] => [
    [`${name}.conv.weight`, shape],
    ...['weight', 'bias', 'running_mean', 'running_var'].map((part): [string, readonly number[]] => [
      `${name}.bn.${part}`,
      [shape[0]],
    ]),
  ]),
  ['fc.weight', [1008, 2048]],
  ['fc.bias', [1008]],
]);
