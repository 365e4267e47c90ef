import * as tf from '@tensorflow/tfjs-core';
import { binaryRules } from './binary';
import { choiceRules } from './choice';
import { convolutionRules } from './convolution';
import { layoutRules } from './layout';
import { matmulRules } from './matmul';
import { poolingRules } from './pooling';
import { reductionRules } from './reduction';
import { resizeRules } from './resize';
import type { Rules } from './rule';
import { unaryRules } from './unary';

const rules: Rules = {
  ...unaryRules,
  ...binaryRules,
  ...reductionRules,
  ...matmulRules,
  ...convolutionRules,
  ...poolingRules,
  ...resizeRules,
  ...layoutRules,
  ...choiceRules,
};

/** Names of the kernels that this package has gradients for. */
export const kernelsWithGradients: readonly string[] = Object.keys(rules).sort();

/**
 * Registers this package's gradients with tfjs, for every kernel that has none yet: gradients that `@tensorflow/tfjs` or an
 * application has registered stay as they are. Importing the package calls it; calling it again does nothing more.
 */
export function registerGradients(): void {
  for (const [kernelName, rule] of Object.entries(rules)) {
    if (tf.getGradient(kernelName) == null) tf.registerGradient({ kernelName, ...rule });
  }
}
