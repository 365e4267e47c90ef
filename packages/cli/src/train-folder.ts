import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '@cm/checkpoints/node';
import { differences } from './differences';

/**
 * Makes a folder with a file that says what decides its contents, or checks that the one that is there says the same.
 *
 * @param names The file, and what messages call the contents. Default: a run's.
 * @throws Error naming each setting that differs
 */
export async function openRunFolder(
  folder: string,
  config: unknown,
  names: { readonly file: string; readonly what: string } = { file: 'config.json', what: 'a run' },
): Promise<void> {
  const file = join(folder, names.file);
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
    `${folder} holds ${names.what} of another configuration: ${named.join(', ')}${more}. Choose another folder, or the same configuration`,
  );
}
