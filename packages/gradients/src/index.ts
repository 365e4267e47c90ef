import { registerGradients } from './register';

export { kernelsWithGradients, registerGradients } from './register';
export { type ValueAndGrads, valueAndGrads } from './value-and-grads';

registerGradients();
