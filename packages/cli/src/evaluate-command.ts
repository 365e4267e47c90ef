import { join, parse } from 'node:path';
import type { Command } from 'commander';
import type { Output } from './command';
import type { ModelEvaluation } from './evaluate';
import { type NetworkName, networkNames, type Resize } from './fid';
import { metricsOf } from './fid-command';
import { metricNames } from './fid-network';
import { whole, wholes } from './flags';
import { type GenerateFlags, generateOptions, modelArgument, withGenerateFlags } from './generate-flags';
import { isFirst } from './processes';
import { countReporter } from './progress';
import { aligned } from './table';

interface Flags extends GenerateFlags {
  readonly reference?: string;
  readonly images: number;
  readonly steps?: readonly number[];
  readonly metrics: string;
  readonly features: NetworkName;
  readonly weights?: string;
  readonly sha256?: string;
  readonly resize: Resize;
  readonly cache?: string;
  readonly out?: string;
  readonly json: boolean;
}

/** Adds `cm evaluate`. @param argv The arguments of `cm`, which the file of results repeats. */
export function addEvaluateCommand(program: Command, { out, err }: Output, argv: readonly string[]): void {
  withGenerateFlags(
    program
      .command('evaluate')
      .description('generates images and measures how like a reference they are: FID and other metrics')
      .argument('<model>', modelArgument)
      .option('--reference <data>', 'statistics file, or folder, zip or .npz of images')
      .option('--images <count>', 'generated images', whole('images', 1), 50_000)
      .option('--steps <counts>', 'with commas; default: all that the recipe has', wholes('steps'))
      .option('--metrics <names>', `of ${metricNames.join(', ')}, with commas`, 'fid')
      .option('--features <network>', `of ${networkNames.join(', ')}: FID’s, or FD-DINOv2’s`, 'inception')
      .option('--weights <file>', 'its weights; default: looked for in the caches')
      .option('--sha256 <hex>', 'SHA-256 that they must have; default: the published file’s')
      .option('--resize <mode>', 'legacy or clean, as of cm fid', 'legacy')
      .option('--cache <folder>', 'keeps features of the reference images there'),
  )
    .option('--out <file>', 'JSON file of the results; default: beside the model, NAME.evaluation.json')
    .option('--json', 'prints that JSON', false)
    .action(async (path: string, flags: Flags) => {
      const { reference } = flags;
      if (reference === undefined) throw new Error('--reference is missing, expected statistics or images');
      const metrics = metricsOf(flags.metrics);
      // Loaded when needed: other commands start at once.
      const { evaluate } = await import('./evaluate');
      const { writeFileAtomically } = await import('@cm/checkpoints/node');
      const { images, steps, features, weights, sha256, resize, cache } = flags;
      const reporters = new Map<string, ReturnType<typeof countReporter>>();
      const evaluation = await evaluate(path, {
        ...generateOptions(flags),
        reference,
        images,
        metrics,
        features,
        resize,
        ...(steps && { steps }),
        ...(weights !== undefined && { weights }),
        ...(sha256 !== undefined && { sha256 }),
        ...(cache !== undefined && { cache }),
        onProgress: (sampler, progress) => {
          const report = reporters.get(sampler) ?? countReporter(err, `images, ${sampler}`);
          reporters.set(sampler, report);
          report(progress);
        },
      });
      const text = `${JSON.stringify({ command: `cm ${argv.map(quoted).join(' ')}`, node: process.version, ...evaluation }, null, 2)}\n`;
      out(flags.json ? text : evaluationTable(evaluation));
      const { dir, name } = parse(evaluation.model.file);
      const file = flags.out ?? join(dir, `${name}.evaluation.json`);
      if (!isFirst()) return;
      await writeFileAtomically(file, Buffer.from(text));
      err(`cm: written to ${file}\n`);
    });
}

/** An argument as a shell takes it. */
const quoted = (text: string) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** A row a metric, a column a way of sampling; below them what the numbers are of. */
function evaluationTable({ samplings, model, guidance, reference, images, settings }: ModelEvaluation): string {
  const names = Object.keys(samplings[0]!.metrics);
  const rows = aligned([
    ['', ...samplings.map(({ steps }) => `${steps} ${steps === 1 ? 'step' : 'steps'}`)],
    ...names.map((name) => [name, ...samplings.map(({ metrics }) => String(Number(metrics[name]!.toPrecision(6))))]),
  ]);
  const facts = [
    ...samplings.map(({ sampler, evaluations }) => `${sampler}: ${evaluations} evaluations an image`),
    `${images.toLocaleString('en')} images of ${model.file}, SHA-256 ${model.sha256.slice(0, 8)}…`,
    ...(guidance ? [`guided by ${guidance.guide.file}, strength ${guidance.strength}`] : []),
    `reference ${reference.path}, ${reference.images?.toLocaleString('en') ?? 'unknown number of'} images`,
    Object.values(settings).join(', '),
  ];
  return `${[...rows, ...facts].join('\n')}\n`;
}
