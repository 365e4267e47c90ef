import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startChromium } from './chromium';
import { servePage } from './serve';

// The pictures of the README: assets/light.png and assets/dark.png.

const folder = mkdtempSync(join(tmpdir(), 'browser-'));
const [page, browser] = await Promise.all([servePage(folder), startChromium()]);
for (const colorScheme of ['light', 'dark'] as const) {
  const view = await browser.newPage({ viewport: { width: 1200, height: 1000 }, colorScheme });
  await view.goto(`${page.url}?engine=wasm&seed=3`);
  await view.waitForFunction(() => document.getElementById('status')!.textContent!.includes('looks like'));
  await view.waitForTimeout(3000);
  await view.screenshot({
    path: fileURLToPath(new URL(`../../assets/${colorScheme}.png`, import.meta.url)),
    fullPage: true,
  });
}
await browser.close();
await page.close();
rmSync(folder, { recursive: true });
