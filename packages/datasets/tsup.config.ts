import { defineConfig } from 'tsup';
import base from '../../tsup.config.base';

// The worker is a file of its own, which threads start.
export default defineConfig({ ...base, entry: ['src/index.ts', 'src/node.ts', 'src/image-worker.ts'] });
