import { fileURLToPath } from 'node:url';

// The sources of `cm` in this very process: the command `tsx` would not wait for it to save what it has at Ctrl-C.
process.env.TSX_TSCONFIG_PATH = fileURLToPath(new URL('../tsconfig.json', import.meta.url));
await import('tsx');
await import('../packages/cli/src/main.ts');
