export { type IntegerRange, integerArray, normalArray, permutation, uniformArray } from './arrays';
export { type Key, key, split } from './key';
export { dropoutMask, normalRows } from './rows';
export { bernoulli, integers, normal, uniform } from './tensors';
