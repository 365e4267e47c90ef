export { type MultistepOptions, type PhasedOptions, sampleMultistep, sampleOneStep, samplePhased } from './consistency';
export { guided } from './guidance';
export { type HeunOptions, sampleHeun } from './heun';
export type { Denoiser, SampleOptions } from './model';
export { toPixels } from './pixels';
