export { loadCifar10 } from './cifar10-files';
export { type ConvertedDataset, type ConvertOptions, convertDataset } from './convert';
export { type DecodedImage, decodeImage } from './decode';
export { type EdmOptions, loadImages, openEdmDataset } from './edm';
export {
  type EdmImage,
  type EdmSource,
  type WriteProgress,
  type WrittenDataset,
  writeEdmDataset,
} from './edm-write';
export { type ImageFiles, openImageFiles, readStored, type StoredFile } from './image-files';
export { loadMnist } from './mnist';
export { openZip, type ZipArchive, type ZipEntry, type ZipOptions } from './zip';
