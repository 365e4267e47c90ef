import type { ImageSource } from '@cm/fid/node';
import { compare, type FeatureOptions, metricsOfBoth, withNetwork } from './fid';
import type { MetricName } from './fid-network';
import { readSet, requireFeatures, setOfImages } from './fid-set';
import { type GenerateOptions, type Generator, withGenerator } from './generate';
import { shareOf } from './processes';
import type { Progress } from './progress';
import { firstNumbers, type Sampling } from './sampling';
import type { TrainRecipe } from './train-recipe';

/** How {@link evaluate} evaluates. */
export interface EvaluateOptions
  extends GenerateOptions,
    Pick<FeatureOptions, 'features' | 'weights' | 'sha256' | 'resize' | 'cache'> {
  /** Statistics file, folder, zip or `.npz` of the images that the model is to be like. */
  readonly reference: string;
  /** Generated images. Default 50,000. */
  readonly images?: number;
  /** Numbers of steps to sample in. Default: all that the recipe has; 18 of a diffusion model. */
  readonly steps?: readonly number[];
  /** Default `['fid']`. */
  readonly metrics?: readonly MetricName[];
  /** Told how far the images of a way of sampling are. */
  readonly onProgress?: (sampler: string, progress: Progress) => void;
}

/** What was measured of one way of sampling. */
export interface SamplingEvaluation {
  readonly steps: number;
  /** Evaluations of the model for an image. */
  readonly evaluations: number;
  /** In words. */
  readonly sampler: string;
  readonly metrics: Readonly<Record<string, number>>;
}

/** What {@link evaluate} measured, and all that the numbers depend on: plain data. */
export interface ModelEvaluation {
  readonly model: ModelFacts;
  /** The worse model that guided, and how strongly. */
  readonly guidance?: { readonly strength: number; readonly guide: ModelFacts };
  readonly reference: { readonly path: string; readonly images: number | null };
  readonly images: number;
  readonly seed: number;
  /** Class of all images; null: classes took turns, or there are none. */
  readonly class: number | null;
  readonly samplings: readonly SamplingEvaluation[];
  readonly settings: {
    /** Whose features the metrics are of. */
    readonly network: string;
    readonly resize: string;
    readonly backend: string;
    readonly precision: string;
  };
  /** The recipe of the model, with all its numbers; null of a diffusion model. */
  readonly recipe: TrainRecipe | null;
}

/** Which file a model was. */
export interface ModelFacts {
  readonly file: string;
  readonly sha256: string;
  /** Training images seen; null where the file does not tell. */
  readonly images: number | null;
}

/**
 * Generates images and measures how like a reference they are, without writing them. As evaluation on files does, it rounds images to bytes. Image i
 * is the one that `sample` writes as number i, whatever the batch. Several processes share the images; each returns the same.
 *
 * @param path A run folder, or a file that `cm inspect` finds a network's configuration in.
 * @throws Error when an option does not fit the model, a metric needs images and has statistics, or weights are missing (which says what to fetch)
 */
export async function evaluate(path: string, options: EvaluateOptions): Promise<ModelEvaluation> {
  const { reference, images: count = 50_000, steps, metrics = ['fid'], seed = 0, label, onProgress } = options;
  const { precision = 'float32' } = options;
  return withGenerator(path, steps, options, (generator) => {
    // The generator has set up the backend and its threads; its batch is not that of the features.
    const { features, weights, sha256, resize, cache } = options;
    const given = {
      backend: generator.backend,
      ...(features && { features }),
      ...(weights && { weights }),
      ...(sha256 && { sha256 }),
      ...(resize && { resize }),
      ...(cache && { cache }),
    };
    return withNetwork(given, async (read) => {
      requireFeatures(metrics, read.network);
      const real = await readSet(reference, metricsOfBoth(metrics), read);
      // What is generated anew is not worth keeping.
      const { cache: _, ...uncached } = read;
      const samplings: SamplingEvaluation[] = [];
      for (const sampling of generator.samplings) {
        const { steps: taken, evaluations, name: sampler } = sampling;
        const [from, to] = shareOf(read.communicator, count, Math.max(options.batch ?? 0, read.batch));
        const source = sourceOf(generator, sampling, firstNumbers(count).slice(from, to), (done) =>
          onProgress?.(sampler, { done, total: to - from, resumed: 0 }),
        );
        const generated = await setOfImages(sampler, source, metrics, uncached);
        const values = await compare(real, generated, metrics, read.network);
        samplings.push({ steps: taken, evaluations, sampler, metrics: values });
      }
      const { file, guide } = generator;
      return {
        model: factsOf(file),
        ...(guide && { guidance: { strength: guide.strength, guide: factsOf(guide.file) } }),
        reference: { path: reference, images: real.images },
        images: count,
        seed,
        class: label ?? null,
        samplings,
        settings: { network: read.network.name, resize: read.resize, backend: read.backend, precision },
        recipe: file.recipe ?? null,
      };
    });
  });
}

const factsOf = ({ path, sha256, images }: Generator['file']): ModelFacts => ({
  file: path,
  sha256,
  images: images ?? null,
});

/** Generated images as those of a folder are read. */
function sourceOf(
  generator: Generator,
  sampling: Sampling,
  numbers: readonly number[],
  onDone: (done: number) => void,
): ImageSource {
  const [height, width, channels] = generator.file.network.imageShape;
  return {
    count: numbers.length,
    async *entries() {
      let done = 0;
      for (const bytes of generator.images(sampling, numbers)) {
        const rgb =
          channels === 1 ? Uint8Array.from({ length: 3 * bytes.length }, (_, i) => bytes[(i / 3) | 0]!) : bytes;
        yield { name: `image ${numbers[done]}`, bytes, decode: async () => ({ height, width, rgb }) };
        onDone(++done);
      }
    },
  };
}
