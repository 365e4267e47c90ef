export {
  type AdamOptions,
  type AdamWOptions,
  type Average,
  adam,
  adamW,
  type Optimizer,
  type OptimizerState,
  rAdam,
  type Updated,
  type UpdateOptions,
} from './adam';
export {
  constantEma,
  type EmaDecay,
  type EmaProfile,
  type PowerFunctionEmaOptions,
  posthocCoefficients,
  powerFunctionEma,
  powerFunctionExponent,
  reconstructEma,
  updateEma,
} from './ema';
export { cleanGradients, clipByGlobalNorm, globalNorm } from './gradient-hygiene';
