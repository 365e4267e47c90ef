export {
  type Chunk,
  type ClassReferences,
  type KeptAs,
  type ReferenceSet,
  type ReferenceSetOptions,
  referenceSet,
} from './reference-set';
export { posteriorLogWeights, type StableTarget, type StableTargetOptions, stableTarget } from './stable-target';
