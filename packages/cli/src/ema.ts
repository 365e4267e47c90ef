import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type FileTensor, fromFloat32, toFloat32, writeSafetensors } from '@cm/checkpoints';
import { readSafetensorsFile, writeFileAtomically } from '@cm/checkpoints/node';
import { type EmaProfile, posthocCoefficients } from '@cm/optimizers';

/** How {@link reconstruct} reconstructs. */
export interface ReconstructOptions {
  /** σ_rel of the average that is wanted, above 0 and at most 0.28. */
  readonly length: number;
  /** Training images at which the average ends, at most those of the newest snapshot. Default: those. */
  readonly images?: number;
  /** The new file. Default: `snapshots/posthoc-<images>-<length>.safetensors` of the run. */
  readonly to?: string;
  /** Whether a file that is there is replaced. Default false. */
  readonly force?: boolean;
  readonly onProgress?: (progress: { readonly done: number; readonly total: number; readonly resumed: number }) => void;
}

/** What {@link reconstruct} did. */
export interface Reconstructed {
  readonly to: string;
  readonly length: number;
  readonly images: number;
  /** The snapshots that it is a sum of, with their coefficients. */
  readonly terms: readonly { readonly file: string; readonly coefficient: number }[];
}

/** A regular snapshot of a power-function average. */
interface Stored extends EmaProfile {
  readonly path: string;
}

/**
 * Post-hoc reconstruction (Karras et al., arXiv 2312.02696, section 3.3): the power-function average of another length, as the sum of a run's snapshots whose profile is
 * nearest to the wanted one in the least-squares sense. Written in float16, as the snapshots are, with all that they say of network and recipe.
 * One snapshot is in memory at a time.
 *
 * @param folder A run folder.
 * @throws Error when the run has no snapshots of power-function averages, there are fewer than two, or the length or images do not fit
 */
export async function reconstruct(folder: string, options: ReconstructOptions): Promise<Reconstructed> {
  const { length, force = false, onProgress } = options;
  if (!(length > 0 && length <= 0.28)) throw new Error(`--length is ${length}, expected above 0 and at most 0.28`);
  const all = await storedAverages(folder);
  const newest = Math.max(...all.map(({ time }) => time));
  const { images = newest } = options;
  if (!(images > 0 && images <= newest)) {
    throw new Error(`--images is ${images}, expected above 0 and at most ${newest}, the newest snapshot's (${folder})`);
  }
  const name = length.toFixed(3);
  const to = options.to ?? join(folder, 'snapshots', `posthoc-${digits(images)}-${name}.safetensors`);
  if (!force && existsSync(to)) throw new Error(`${to} is there already; --force replaces it`);

  const stored = all.filter(({ time }) => time <= images);
  if (stored.length < 2) {
    throw new Error(`${folder}: has ${stored.length} snapshots up to ${images} images, expected at least 2`);
  }
  const coefficients = posthocCoefficients(stored, { time: images, sigmaRel: length });
  const sums = new Map<string, { readonly shape: readonly number[]; readonly values: Float32Array }>();
  let metadata: Readonly<Record<string, string>> = {};
  for (const [i, { path }] of stored.entries()) {
    const file = await readSafetensorsFile(path);
    // The newest comes last: its metadata are those of the result.
    metadata = file.metadata;
    add(path, sums, file.tensors, coefficients[i]!);
    onProgress?.({ done: i + 1, total: stored.length, resumed: 0 });
  }
  const tensors = Object.fromEntries(
    [...sums].map(([key, { shape, values }]): [string, FileTensor] => [
      key,
      { dtype: 'F16', shape, data: fromFloat32(values, 'F16') },
    ]),
  );
  const { step: _, ...kept } = metadata;
  const own = { average: name, emaLength: name, images: String(images), imagesSeen: String(images) };
  await writeFileAtomically(to, writeSafetensors(tensors, { ...kept, ...own, reconstructed: 'post-hoc' }));
  return {
    to,
    length,
    images,
    terms: stored.map(({ path }, i) => ({ file: path, coefficient: coefficients[i]! })),
  };
}

const digits = (images: number) => String(images).padStart(12, '0');

/** The regular snapshots of power-function averages, oldest first. */
async function storedAverages(folder: string): Promise<Stored[]> {
  const snapshots = join(folder, 'snapshots');
  const names = existsSync(snapshots) ? await readdir(snapshots) : [];
  const regular = names.filter((name) => /^\d{12}-.*\.safetensors$/.test(name)).sort();
  if (regular.length === 0) throw new Error(`${folder}: has no snapshots, expected the folder of a run (cm train)`);
  // A power function's average is named by its length, in three digits; a constant decay has more, or fewer.
  const stored = regular.flatMap((name): Stored[] => {
    const [, images, length] = /^(\d{12})-(0\.\d{3})\.safetensors$/.exec(name) ?? [];
    return length ? [{ path: join(snapshots, name), time: Number(images), sigmaRel: Number(length) }] : [];
  });
  const last = stored.at(-1);
  const says = last && (await readSafetensorsFile(last.path)).metadata.emaLength;
  if (says === undefined) {
    const averages = [...new Set(regular.map((name) => name.slice(13, -'.safetensors'.length)))].join(', ');
    throw new Error(
      `${folder}: has averages ${averages}, none of them a power function's: reconstruction needs a run whose recipe has ema.sigmaRel`,
    );
  }
  return stored;
}

function add(
  path: string,
  sums: Map<string, { readonly shape: readonly number[]; readonly values: Float32Array }>,
  tensors: Readonly<Record<string, FileTensor>>,
  coefficient: number,
): void {
  const isFirst = sums.size === 0;
  const names = Object.keys(tensors);
  for (const name of names) {
    const { dtype, shape, data } = tensors[name]!;
    if (isFirst)
      sums.set(name, { shape, values: new Float32Array(shape.reduce((product, extent) => product * extent, 1)) });
    const sum = sums.get(name);
    if (!sum || sum.shape.join() !== shape.join()) {
      throw new Error(`${path}: ${name} has shape [${shape}], expected ${sum ? `[${sum.shape}]` : 'no such tensor'}`);
    }
    const values = toFloat32(data, dtype);
    const total = sum.values;
    for (let i = 0; i < total.length; i++) total[i]! += coefficient * values[i]!;
  }
  if (names.length !== sums.size) throw new Error(`${path}: has ${names.length} tensors, expected ${sums.size}`);
}
