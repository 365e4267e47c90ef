import { defineConfig } from 'tsup';
import base from '../../tsup.config.base';

export default defineConfig([
  { ...base, entry: [...(base as { entry: string[] }).entry, 'src/distributed.ts', 'src/launch.ts'], platform: 'node' },
  { ...base, entry: ['src/cli.ts'], platform: 'node', dts: false, clean: false, banner: { js: '#!/usr/bin/env node' } },
]);
