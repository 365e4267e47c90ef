export { jsonLines, type LogOptions } from './json-lines';
export { stopOnSignals } from './signals';
export { type SnapshotOptions, saveSnapshots } from './snapshots';
export { type LoadStateOptions, loadState, type SaveStateOptions, saveState } from './state-file';
export { DamagedFileError } from './tensor-file';
export { tensorBoard } from './tensorboard';
