/** An idx file. */
export function idx(type: number, shape: readonly number[], bytes: readonly number[]): Uint8Array {
  const header = new DataView(new ArrayBuffer(4 + 4 * shape.length));
  header.setUint8(2, type);
  header.setUint8(3, shape.length);
  for (const [i, extent] of shape.entries()) header.setUint32(4 + 4 * i, extent);
  return Uint8Array.of(...new Uint8Array(header.buffer), ...bytes);
}
