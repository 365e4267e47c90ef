import { type EngineName, startEngine } from './engine';
import { byConsistency } from './generate';
import { type Models, placeModels } from './models';
import { loadReader, type Reader } from './reading';
import type { Weights } from './weights';

/** The networks on an engine. */
export interface Session {
  readonly engine: EngineName;
  readonly models: Models;
  readonly reader: Reader;
  dispose(): void;
}

/** Starts an engine and brings the networks there. What it compiles at the first image is compiled when this returns. */
export async function openSession(engine: EngineName, weights: Weights): Promise<Session> {
  await startEngine(engine);
  const models = placeModels(weights);
  const reader = loadReader(weights.classifier);
  await byConsistency(models, { seed: 0, positions: [{ across: 0, down: 0 }] }, { steps: 1, strength: 1 });
  return {
    engine,
    models,
    reader,
    dispose: () => {
      models.dispose();
      reader.dispose();
    },
  };
}
