declare module 'node-api-headers' {
  /** Folder of Node-API's C headers. */
  export const include_dir: string;
}
