import { blocksOf, type Edm2Config, embeddingChannels } from './config';

/** What a parameter is, which decides how it is initialised, normalised and laid out. */
export type ParameterKind =
  /** Weights of a magnitude-preserving layer (EDM2 Eq. 47): normalised, scaled; a learned gain may multiply them. */
  | { readonly kind: 'weight'; readonly gain?: string; readonly qkv?: true }
  | { readonly kind: 'gain' }
  | { readonly kind: 'frequencies' }
  | { readonly kind: 'phases' };

/** A parameter of the network: name as in the public checkpoints, shape in memory (convolutions HWIO). */
export type ParameterSpec = ParameterKind & { readonly name: string; readonly shape: readonly number[] };

/** Every parameter and buffer of the network, in order. */
export function parametersOf(config: Edm2Config): ParameterSpec[] {
  const { channels, labelDim, logvarChannels } = config;
  const { noise, embedding } = embeddingChannels(config);
  const specs: ParameterSpec[] = [];
  const weight = (name: string, shape: number[], more: { gain?: string; qkv?: true } = {}) =>
    specs.push({ kind: 'weight', name: `${name}.weight`, shape, ...more });
  const gain = (name: string) => specs.push({ kind: 'gain', name, shape: [] });
  const fourier = (name: string, size: number) => {
    specs.push({ kind: 'frequencies', name: `${name}.freqs`, shape: [size] });
    specs.push({ kind: 'phases', name: `${name}.phases`, shape: [size] });
  };

  gain('unet.out_gain');
  fourier('unet.emb_fourier', noise);
  weight('unet.emb_noise', [embedding, noise]);
  if (labelDim > 0) weight('unet.emb_label', [embedding, labelDim]);
  const blocks = blocksOf(config);
  const first = blocks[0]!;
  const firstName = firstConvolution(config);
  weight(firstName, [3, 3, channels + 1, first.inChannels]);
  for (const { name, flavor, inChannels: cin, channels: cout, attention } of blocks) {
    gain(`${name}.emb_gain`);
    weight(`${name}.conv_res0`, [3, 3, flavor === 'enc' ? cout : cin, cout]);
    weight(`${name}.emb_linear`, [cout, embedding], { gain: `${name}.emb_gain` });
    weight(`${name}.conv_res1`, [3, 3, cout, cout]);
    if (cin !== cout) weight(`${name}.conv_skip`, [1, 1, cin, cout]);
    if (attention) {
      weight(`${name}.attn_qkv`, [1, 1, cout, 3 * cout], { qkv: true });
      weight(`${name}.attn_proj`, [1, 1, cout, cout]);
    }
  }
  weight('unet.out_conv', [3, 3, blocks[blocks.length - 1]!.channels, channels], { gain: 'unet.out_gain' });
  if (logvarChannels > 0) {
    fourier('logvar_fourier', logvarChannels);
    weight('logvar_linear', [1, logvarChannels]);
  }
  return specs;
}

/** Name of the convolution that images enter by. */
export const firstConvolution = ({ resolution }: Edm2Config) => `unet.enc.${resolution}x${resolution}_conv`;

/** Checks that a map has exactly the network's parameters, in their shapes. */
export function checkParameters(
  where: string,
  config: Edm2Config,
  params: Readonly<Record<string, { readonly shape: readonly number[] }>>,
): ParameterSpec[] {
  const specs = parametersOf(config);
  const known = new Set(specs.map(({ name }) => name));
  const missing = specs.filter(({ name }) => !(name in params)).map(({ name }) => name);
  const unexpected = Object.keys(params).filter((name) => !known.has(name));
  const misshapen = specs
    .filter(({ name, shape }) => name in params && params[name]!.shape.join() !== shape.join())
    .map(({ name, shape }) => `${name} [${params[name]!.shape}], expected [${shape}]`);
  const problems = [
    ...(missing.length ? [`missing ${missing.join(', ')}`] : []),
    ...(unexpected.length ? [`unexpected ${unexpected.join(', ')}`] : []),
    ...(misshapen.length ? [`misshapen ${misshapen.join('; ')}`] : []),
  ];
  if (problems.length > 0) throw new Error(`${where}: parameters do not fit the network: ${problems.join('; ')}`);
  return specs;
}
