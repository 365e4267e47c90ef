// Kilobytes (1,000 bytes) that a packed package may have: room to grow by half, so that what grows by more is noticed.
const limits: Record<string, number> = {
  checkpoints: 150,
  cli: 200,
  datasets: 175,
  fid: 175,
  torch: 175,
  'wasm-kernels': 500,
};

/** The limit of a package in kB; 100 where nothing else is said. */
export const limitOf = (name: string): number => limits[name] ?? 100;
