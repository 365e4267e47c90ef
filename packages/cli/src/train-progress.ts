import { basename } from 'node:path';
import { progressLine, type TrainingEvent } from '@cm/trainer';
import type { Output } from './command';

/** Seconds between two lines of progress, where no terminal has one that is written over. */
const INTERVAL = 10;

/** Says on the standard error what happens in training, and on the standard output how it ended. */
export function progressReporter({ out, err }: Output): (event: TrainingEvent) => void {
  const isTerminal = process.stderr.isTTY === true;
  let last = Number.NEGATIVE_INFINITY;
  let width = 0;
  const line = (text: string) => {
    err(isTerminal ? `\r${text.padEnd(width)}\n` : `cm: ${text}\n`);
    width = 0;
  };
  return (event) => {
    switch (event.type) {
      case 'started':
        if (event.step > 0) line(`goes on after ${count(event.step)} steps, ${count(event.images)} images`);
        break;
      case 'step': {
        const text = progressLine(event);
        const seconds = performance.now() / 1000;
        if (isTerminal) {
          err(`\r${text.padEnd(width)}`);
          width = text.length;
        } else if (seconds >= last + INTERVAL) {
          line(text);
          last = seconds;
        }
        break;
      }
      case 'evaluated': {
        const metrics = Object.entries(event.metrics).map(([name, value]) => `${name} ${value.toPrecision(5)}`);
        if (metrics.length > 0)
          line(`${count(event.images)} images: ${metrics.join(', ')}${event.best ? ', best' : ''}`);
        break;
      }
      case 'snapshot':
        line(`snapshots: ${event.files.map((file) => basename(file)).join(', ')}`);
        break;
      case 'saved':
        break;
      case 'stopped': {
        const how = event.reason === 'finished' ? 'finished' : 'stopped and saved; the same command goes on';
        out(`${how}: ${count(event.step)} steps, ${count(event.images)} images\n`);
      }
    }
  };
}

const count = (value: number) => value.toLocaleString('en');
