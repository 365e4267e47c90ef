export { cifar10ClassNames, parseCifar10Binary, parseCifar10Python } from './cifar10';
export {
  concatenate,
  type ImageDataset,
  type ImageShape,
  imageDataset,
  type StoredImages,
  subset,
} from './dataset';
export { DatasetError } from './error';
export { toFloat } from './float';
export { type IdxArray, idxDataset, parseIdx } from './idx';
export {
  type Batch,
  createLoader,
  type Loader,
  type LoaderOptions,
  type StoredLoader,
  type StoredLoaderOptions,
} from './loader';
export type { OrderOptions, Shard } from './order';
export type { Picture } from './picture';
export { centerCropAdm, resample } from './pillow';
export { pad, resize } from './resize';
