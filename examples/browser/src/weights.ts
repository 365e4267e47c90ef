import classifier from '../../quickstart/assets/classifier.safetensors?url';
import diffusion from '../../quickstart/assets/diffusion.safetensors?url';
import { startEngine } from './engine';
import { type PreparedModel, prepareModel, type Three } from './models';

/** What the page computes with, ready for any engine. */
export interface Weights extends Three<PreparedModel> {
  /** The file of the classifier that names digits. */
  readonly classifier: Uint8Array;
}

/** Fetches the files and prepares the networks. */
export async function loadWeights(): Promise<Weights> {
  const base = import.meta.env.BASE_URL;
  const addresses = [`${base}generator.safetensors`, `${base}guide.safetensors`, diffusion, classifier];
  const [files] = await Promise.all([Promise.all(addresses.map(fetchBytes)), startEngine('wasm')]);
  return {
    generator: prepareModel(files[0]!),
    guide: prepareModel(files[1]!),
    diffusion: prepareModel(files[2]!),
    classifier: files[3]!,
  };
}

async function fetchBytes(url: string): Promise<Uint8Array> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}
