// What Vite gives for a file: its address on the server.
declare module '*?url' {
  const url: string;
  export default url;
}

interface ImportMeta {
  /** What Vite was told: the page's base address. */
  readonly env: { readonly BASE_URL: string };
}
