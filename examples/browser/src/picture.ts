/** Paints an image with values in [−1, 1], grey or RGB, on a canvas: the canvas takes its size, or it goes to a place of a larger one. */
export function paint(
  canvas: HTMLCanvasElement,
  values: Float32Array,
  [height, width, channels]: readonly [number, number, number],
  place?: { readonly x: number; readonly y: number },
): void {
  if (!place && (canvas.width !== width || canvas.height !== height)) Object.assign(canvas, { width, height });
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = (values[i * channels + Math.min(c, channels - 1)]! + 1) * 127.5;
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext('2d')!.putImageData(image, place?.x ?? 0, place?.y ?? 0);
}
