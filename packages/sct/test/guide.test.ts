import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { onEveryBackend } from '@cm/testing';
import { expect, it, vi } from 'vitest';

const guide = new URL('../../../docs/guides/one-objective-many-methods.md', import.meta.url);

onEveryBackend((backend) => {
  it("runs the guide's example", async () => {
    const [, code] = /```ts\n([\s\S]*?)```/.exec(readFileSync(guide, 'utf8'))!;
    const folder = mkdtempSync(fileURLToPath(new URL('.readme-', import.meta.url)));
    const log = vi.spyOn(console, 'log').mockImplementation(() => {});
    try {
      const file = `${folder}/${backend}.ts`;
      writeFileSync(file, code!);
      await import(/* @vite-ignore */ pathToFileURL(file).href);
      expect(log.mock.calls).toEqual([[true]]);
    } finally {
      log.mockRestore();
      rmSync(folder, { recursive: true });
    }
  });
});
