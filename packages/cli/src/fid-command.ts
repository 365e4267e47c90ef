import type { Command } from 'commander';
import type { Output } from './command';
import {
  type FeatureOptions,
  fid,
  type MetricName,
  metricNames,
  type NetworkName,
  networkNames,
  type Resize,
  stats,
} from './fid';
import { whole } from './flags';

interface Flags {
  readonly features: NetworkName;
  readonly weights?: string;
  readonly sha256?: string;
  readonly resize: Resize;
  readonly batch: string;
  readonly backend?: string;
  readonly threads?: string;
  readonly cache?: string;
  readonly json: boolean;
}

/** Adds `cm fid` and `cm stats`. */
export function addFidCommands(program: Command, { out, err }: Output): void {
  const withFeatures = (command: Command) =>
    command
      .option('--features <network>', `of ${networkNames.join(', ')}: FID’s, or FD-DINOv2’s`, 'inception')
      .option('--weights <file>', 'its weights; default: looked for in the caches')
      .option('--sha256 <hex>', 'SHA-256 that they must have; default: the published file’s')
      .option(
        '--resize <mode>',
        'legacy: the network’s own, for DINOv2 of bytes; clean: Pillow’s bicubic of floats before it',
        'legacy',
      )
      .option('--batch <images>', 'images in one pass of the network', '32')
      .option('--backend <name>', 'torch, tensorflow or wasm; default: torch where it is set up')
      .option('--threads <count>', 'threads of the backend')
      .option('--cache <folder>', 'keeps features there: a run that was stopped goes on where it was')
      .option('--json', 'as JSON', false);

  withFeatures(
    program
      .command('fid')
      .description('compares generated images with real ones: FID, FD-DINOv2 and other metrics')
      .argument('<real>', 'folder, zip or .npz of images, or a statistics .npz')
      .argument('<fake>', 'the same')
      .option('--metrics <names>', `of ${metricNames.join(', ')}, with commas`, 'fid'),
  ).action(async (real: string, fake: string, flags: Flags & { metrics: string }) => {
    const result = await fid(real, fake, metricsOf(flags.metrics), optionsOf(flags, err));
    if (flags.json) return out(`${JSON.stringify(result, null, 2)}\n`);
    const { metrics, settings } = result;
    const width = Math.max(...Object.keys(metrics).map((name) => name.length));
    for (const [name, value] of Object.entries(metrics))
      out(`${name.padEnd(width)}  ${Number(value.toPrecision(8))}\n`);
    const counted = [result.real, result.fake].map(({ images }) => images?.toLocaleString('en') ?? 'unknown number of');
    out(`${counted[0]} real, ${counted[1]} generated images; ${Object.values(settings).join(', ')}\n`);
  });

  withFeatures(
    program
      .command('stats')
      .description('writes the statistics of images to a .npz that pytorch-fid, EDM, ADM and clean-fid read')
      .argument('<data>', 'folder, zip or .npz of images')
      .argument('<out>', '.npz')
      .option('--spatial', 'sFID’s statistics too', false),
  ).action(async (data: string, to: string, flags: Flags & { spatial: boolean }) => {
    const images = await stats(data, to, { ...optionsOf(flags, err), spatial: flags.spatial });
    out(flags.json ? `${JSON.stringify({ to, images })}\n` : `${to}: ${images.toLocaleString('en')} images\n`);
  });
}

/** Reads `--metrics`. @throws Error when a name is none */
export function metricsOf(text: string): MetricName[] {
  const names = text.split(',');
  const unknown = names.find((name) => !metricNames.includes(name as MetricName));
  if (unknown !== undefined) throw new Error(`--metrics has "${unknown}", expected of ${metricNames.join(', ')}`);
  return names as MetricName[];
}

function optionsOf(
  { features, weights, sha256, resize, cache, backend, ...flags }: Flags,
  err: Output['err'],
): FeatureOptions {
  return {
    features,
    resize,
    batch: whole('batch', 1)(flags.batch),
    ...(flags.threads !== undefined && { threads: whole('threads', 1)(flags.threads) }),
    ...(weights !== undefined && { weights }),
    ...(sha256 !== undefined && { sha256 }),
    ...(backend !== undefined && { backend }),
    ...(cache !== undefined && { cache }),
    onProgress: (path, done, total, rate) => {
      // One line that is written over, where someone watches.
      if (!process.stderr.isTTY) return;
      const line = `${path}: ${done.toLocaleString('en')} of ${total.toLocaleString('en')} images, ${rate.toFixed(1)}/s`;
      err(`\r${line}${done === total ? '\n' : ''}`);
    },
  };
}
