#!/usr/bin/env node
import { run } from './command';

for (const stream of [process.stdout, process.stderr]) {
  // Nobody reads on, as after `| head`: no reason to end, least of all training.
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

process.exitCode = await run(process.argv.slice(2));
