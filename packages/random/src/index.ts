export { type IntegerRange, integerArray, normalArray, permutation, uniformArray } from './arrays';
export { philox } from './kernel';
export { type Key, key, split } from './key';
export { dropoutMask, normalRows } from './rows';
export { bernoulli, integers, normal, uniform } from './tensors';
