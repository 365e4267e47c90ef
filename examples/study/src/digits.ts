import { loadDigits, mnistFolder } from '../../quickstart/src/digits';
import { loadPretrained, trainable } from '../../quickstart/src/network';
import { assets, sampling, tuning } from '../../quickstart/src/settings';
import type { Subject } from './workbench';

/** MNIST at 16 × 16, with the quickstart's network and settings. */
export const digits: Subject = {
  loadImages: () => loadDigits(mnistFolder(), 'train'),
  network: trainable,
  loadStart: () => loadPretrained(assets.diffusion),
  classifier: assets.classifier,
  tuning,
  sampling: { sigmaMax: sampling.sigmaMax, middle: sampling.middle[2][0] },
};
