import { type Edm2Config, edm2Denoiser, forceWeightNorm, normalizeWeights } from '@cm/edm2-unet';
import { valueAndGrads } from '@cm/gradients';
import { cleanGradients, type Optimizer, type OptimizerState } from '@cm/optimizers';
import * as tf from '@tensorflow/tfjs-core';

/** All that a run carries from one step to the next. */
export interface TrainingState {
  /** Steps taken. */
  readonly step: number;
  readonly params: tf.NamedTensorMap;
  readonly optimizer: OptimizerState;
  readonly ema: tf.NamedTensorMap;
}

/** A denoiser as {@link edm2Denoiser} makes it. */
export type Denoiser = ReturnType<typeof edm2Denoiser>;

/** The loss of one step: given the current model for what needs no gradient, the loss of a model that gets one. */
export type StepLoss = (current: Denoiser) => { loss: (model: Denoiser) => tf.Scalar; dispose: () => void };

/** The state from which a run of given parameters starts. The state has tensors of its own. */
export function initTrainingState(params: tf.NamedTensorMap, optimizer: Optimizer): TrainingState {
  const copy = () => mapTensors(params, (tensor) => tf.clone(tensor));
  return { step: 0, params: copy(), optimizer: optimizer.init(params), ema: copy() };
}

/**
 * One step: forced weight normalisation (the student only), weights prepared once and shared by teacher and student,
 * loss and gradient with respect to them, pulled back to the parameters, then optimizer and EMA.
 * Returns the next state and frees the tensors of the given one.
 */
export function trainingStep(
  state: TrainingState,
  settings: { network: Edm2Config; optimizer: Optimizer; learningRate: number; emaBeta: number },
  stepLoss: StepLoss,
): { state: TrainingState; loss: number; cleaned: number } {
  const { network, optimizer } = settings;
  const params = forceWeightNorm(network, state.params);
  const { weights, pullback } = normalizeWeights(network, params);

  const { loss, dispose } = stepLoss(edm2Denoiser(network, weights));
  const { value, grads } = valueAndGrads((w) => loss(edm2Denoiser(network, w)), weights);
  dispose();

  const raw = pullback(grads);
  const cleaned = cleanGradients(raw);
  const next = optimizer.update(params, cleaned.grads, state.optimizer, {
    learningRate: settings.learningRate,
    averages: [{ ema: state.ema, beta: settings.emaBeta }],
  });
  const lossValue = value.dataSync()[0]!;

  disposeState(state);
  tf.dispose([params, weights, grads, raw, cleaned.grads, value]);
  return {
    state: { step: state.step + 1, params: next.params, optimizer: next.state, ema: next.averages[0]! },
    loss: lossValue,
    cleaned: cleaned.count,
  };
}

/** Frees a state's tensors. */
export function disposeState({ params, optimizer, ema }: TrainingState): void {
  tf.dispose([params, optimizer.m, optimizer.v, ema]);
}

/** A map of tensors, each replaced by what `f` makes of it. */
export function mapTensors(map: tf.NamedTensorMap, f: (tensor: tf.Tensor) => tf.Tensor): tf.NamedTensorMap {
  return Object.fromEntries(Object.entries(map).map(([name, tensor]) => [name, f(tensor)]));
}
