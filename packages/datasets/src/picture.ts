/** One image as bytes. */
export interface Picture {
  readonly height: number;
  readonly width: number;
  /** 1 is grey, 3 is red, green and blue. */
  readonly channels: number;
  /** height · width · channels values, row-major, channels innermost. */
  readonly pixels: Uint8Array;
}
