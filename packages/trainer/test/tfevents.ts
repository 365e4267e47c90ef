/** An event of a TensorBoard file, as far as these tests look. */
export interface ReadEvent {
  time: number;
  step: number;
  version?: string;
  session?: number;
  scalars: Record<string, number>;
}

/** A reader of TensorBoard's event files that shares nothing with the writer. */
export function readEvents(file: Buffer): ReadEvent[] {
  const events: ReadEvent[] = [];
  for (let at = 0; at < file.length; ) {
    const length = Number(file.readBigUInt64LE(at));
    const data = file.subarray(at + 12, at + 12 + length);
    if (file.readUInt32LE(at + 8) !== masked(file.subarray(at, at + 8))) throw new Error('checksum of a length');
    if (file.readUInt32LE(at + 12 + length) !== masked(data)) throw new Error('checksum of a record');
    events.push(readEvent(data));
    at += 16 + length;
  }
  return events;
}

function readEvent(data: Buffer): ReadEvent {
  const event: ReadEvent = { time: 0, step: 0, scalars: {} };
  for (const [number, value] of fields(data)) {
    if (number === 1) event.time = (value as Buffer).readDoubleLE();
    if (number === 2) event.step = Number(value);
    if (number === 3) event.version = String(value);
    if (number === 5) {
      for (const [, summary] of fields(value as Buffer)) {
        const { 1: tag, 2: scalar } = Object.fromEntries(fields(summary as Buffer));
        event.scalars[String(tag)] = (scalar as Buffer).readFloatLE();
      }
    }
    if (number === 7) event.session = Number(Object.fromEntries(fields(value as Buffer))[1]);
  }
  return event;
}

/** Field numbers with their values: integers as bigint, all else as bytes. */
function fields(data: Buffer): [number, bigint | Buffer][] {
  const found: [number, bigint | Buffer][] = [];
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = data[at++]!;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < data.length) {
    const tag = Number(varint());
    if ((tag & 7) === 0) found.push([tag >> 3, varint()]);
    else {
      const size = { 1: 8, 5: 4 }[tag & 7] ?? Number(varint());
      found.push([tag >> 3, data.subarray(at, at + size)]);
      at += size;
    }
  }
  return found;
}

/** The masked CRC-32C, bit by bit. */
function masked(data: Uint8Array): number {
  let crc = 0xffffffffn;
  for (const byte of data) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) crc = (crc >> 1n) ^ (crc & 1n ? 0x82f63b78n : 0n);
  }
  crc ^= 0xffffffffn;
  return Number((((crc >> 15n) | (crc << 17n)) + 0xa282ead8n) & 0xffffffffn);
}
