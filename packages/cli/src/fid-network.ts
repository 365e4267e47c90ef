import {
  type DinoV2Model,
  type DinoV2Weights,
  dinoV2Extractor,
  type FeatureExtractor,
  type InceptionFeature,
  type InceptionWeights,
  inceptionExtractor,
  inceptionFeatureSize,
  resampleBicubic,
} from '@cm/fid';
import { dinoV2Sha256, inceptionSha256, loadDinoV2, loadInception, type WeightsSource } from '@cm/fid/node';
import * as tf from '@tensorflow/tfjs-core';

/** Metrics: Fréchet distances, kernel distance, Inception score, precision and recall, density and coverage. */
export const metricNames = ['fid', 'sfid', 'kid', 'is', 'pr', 'dc'] as const;
/** A metric that `--metrics` names: Fréchet distance, spatial FID, KID, Inception score, precision and recall, density and coverage. */
export type MetricName = (typeof metricNames)[number];

/** Networks whose features metrics are of: FID's Inception-v3, and the two of FD-DINOv2. */
export const networkNames = ['inception', 'dinov2-b', 'dinov2-l'] as const;
/** A network that `--network` names. */
export type NetworkName = (typeof networkNames)[number];

/** Kinds of resizing. */
export type Resize = 'legacy' | 'clean';

/** What makes features of images. */
export interface Network {
  /** Which weights, in words. */
  readonly name: string;
  /** What the Fréchet distance of its features is called, here and in statistics files that have several. */
  readonly distance: 'fid' | 'fd_dinov2';
  /** SHA-256 of its weights. */
  readonly sha256: string;
  /** The features that a metric is of; undefined where the network has none for it. */
  featureOf(metric: MetricName): string | undefined;
  /** Loads the weights when first asked: two statistics files need none. Features lie side by side in the order given. */
  extractor(features: readonly string[], resize: Resize): Promise<FeatureExtractor>;
  /** How many numbers such a feature is, once the weights are loaded. */
  sizeOf(feature: string): number;
  dispose(): void;
}

/** @param source Its weights and their SHA-256, where they are not the published ones. */
export function networkOf(name: NetworkName, source: WeightsSource): Network {
  if (name === 'inception') return inception(source);
  if (name === 'dinov2-b') return dinoV2('vitb14', source);
  if (name === 'dinov2-l') return dinoV2('vitl14', source);
  throw new Error(`--features is ${name}, expected of ${networkNames.join(', ')}`);
}

const inceptionFeatures: Readonly<Record<MetricName, InceptionFeature>> = {
  fid: '2048',
  sfid: 'spatial',
  kid: '2048',
  is: 'logits_unbiased',
  pr: '2048',
  dc: '2048',
};

function inception(source: WeightsSource): Network {
  let weights: InceptionWeights | undefined;
  return {
    name: 'inception-2015-12-05',
    distance: 'fid',
    sha256: source.sha256 ?? inceptionSha256,
    featureOf: (metric) => inceptionFeatures[metric],
    async extractor(features, resize) {
      weights ??= await loadInception(source);
      const extract = inceptionExtractor(weights, ...(features as InceptionFeature[]));
      if (resize === 'legacy') return extract;
      return (images) => tf.tidy(() => extract(resampleBicubic(images, [299, 299])));
    },
    sizeOf: (feature) => inceptionFeatureSize[feature as InceptionFeature],
    dispose: () => tf.dispose(weights?.tensors ?? {}),
  };
}

function dinoV2(model: DinoV2Model, source: WeightsSource): Network {
  let weights: DinoV2Weights | undefined;
  return {
    name: `dinov2-${model}`,
    distance: 'fd_dinov2',
    sha256: source.sha256 ?? dinoV2Sha256[model],
    // It has neither classes nor spatial features.
    featureOf: (metric) => (metric === 'is' || metric === 'sfid' ? undefined : 'class token'),
    async extractor(_, resize) {
      weights ??= await loadDinoV2(model, source);
      return dinoV2Extractor(weights, { resize });
    },
    sizeOf: () => weights!.width,
    dispose: () => tf.dispose(weights?.tensors ?? {}),
  };
}
