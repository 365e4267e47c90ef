import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '@cm/checkpoints/node';
import { differences } from './differences';

/**
 * Makes the run folder, or checks that the one that is there belongs to a run of the same configuration.
 *
 * @throws Error naming each setting that differs
 */
export async function openRunFolder(folder: string, config: unknown): Promise<void> {
  const file = join(folder, 'config.json');
  const text = `${JSON.stringify(config, null, 2)}\n`;
  if (!existsSync(file)) {
    await mkdir(folder, { recursive: true });
    await writeFileAtomically(file, Buffer.from(text));
    return;
  }
  const found = differences(JSON.parse(await readFile(file, 'utf8')), JSON.parse(text));
  if (found.length === 0) return;
  const named = found.slice(0, 5).map(({ path, a, b }) => `${path} is ${a} there and ${b} here`);
  const more = found.length > named.length ? `, and ${found.length - named.length} more` : '';
  throw new Error(
    `${folder} holds a run of another configuration: ${named.join(', ')}${more}. Choose another folder, or the same configuration`,
  );
}
