import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { useWasm } from '@cm/testing';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { byConsistency, byDiffusion, type Generated, type Manner, type Noises } from '../src/generate';
import { type Models, placeModels, prepareModel } from '../src/models';
import { startChromium } from '../src/node/chromium';
import { addModule, servePage } from '../src/node/serve';
import type { TfIoPage } from './tf-io-page';

/** What the page tells of an image, its values as plain numbers. */
type Told = Omit<Generated, 'values'> &
  Noises &
  Partial<Manner> & { model: 'consistency' | 'diffusion'; engine: string; values: number[] };

const model = (path: string) => prepareModel(readFileSync(fileURLToPath(new URL(path, import.meta.url))));

let folder: string;
let browser: Browser;
let server: Awaited<ReturnType<typeof servePage>>;
let models: Models;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'browser-'));
  [server, browser] = await Promise.all([servePage(folder), startChromium()]);
  await useWasm();
  models = placeModels({
    generator: model('../public/generator.safetensors'),
    guide: model('../public/guide.safetensors'),
    diffusion: model('../../quickstart/assets/diffusion.safetensors'),
  });
}, 120_000);
afterAll(async () => {
  models?.dispose();
  await browser?.close();
  await server?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Opens the page. Whatever it writes to the console as an error, throws or fails to load is in `errors`. */
async function open(query: string, options: Parameters<Browser['newPage']>[0] = {}) {
  const page = await browser.newPage(options);
  const errors: string[] = [];
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('requestfailed', (request) => errors.push(request.url()));
  page.on('request', (request) => {
    const own = [server.url, `blob:${server.url}`, 'data:'];
    if (!own.some((start) => request.url().startsWith(start))) errors.push(request.url());
  });
  await page.addInitScript(() => {
    const told: unknown[] = [];
    Object.assign(window, { told });
    document.addEventListener('generated', (event) => {
      const { detail } = event as CustomEvent;
      told.push({ ...detail, values: Array.from(detail.values) });
    });
  });
  await page.goto(`${server.url}?${query}`);
  return { page, errors };
}

/** The latest image of a model, made after the first `after` of all. */
async function latest(page: Page, model: Told['model'], after = 0): Promise<Told> {
  const found = await page.waitForFunction(
    ([model, after]) =>
      (window as unknown as { told: { model: string }[] }).told.slice(after).findLast((image) => image.model === model),
    [model, after] as const,
    { timeout: 100_000 },
  );
  return (await found.jsonValue()) as Told;
}
const count = (page: Page) => page.evaluate(() => (window as unknown as { told: unknown[] }).told.length);

const largestDifference = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]!)));

/** How far an image of the page is from Node's of the same noise, made in the same manner. */
async function distanceFromNode(told: Told): Promise<number> {
  const { seed, positions, steps = 1, strength = 1 } = told;
  const own =
    told.model === 'diffusion'
      ? await byDiffusion(models, { seed, positions })
      : await byConsistency(models, { seed, positions }, { steps, strength });
  return largestDifference(told.values, own.values);
}

it('loads models of less than 4 MB', () => {
  const files = [
    'public/generator',
    'public/guide',
    '../quickstart/assets/diffusion',
    '../quickstart/assets/classifier',
  ];
  const bytes = files.map((name) => statSync(fileURLToPath(new URL(`../${name}.safetensors`, import.meta.url))).size);
  expect(bytes.reduce((sum, size) => sum + size)).toBeLessThan(4e6);
});

describe('the page', () => {
  it("generates and compares on WebAssembly, by keyboard alone, to Node's values", async () => {
    const { page, errors } = await open('engine=wasm&seed=5');
    const first = await latest(page, 'consistency');
    expect(first).toMatchObject({ engine: 'wasm', seed: 5, steps: 1, strength: 1, evaluations: 1 });
    expect(first.positions).toEqual([{ across: 0.5, down: 0.5 }]);
    expect(await distanceFromNode(first)).toBeLessThan(1e-3);
    const compared = await latest(page, 'diffusion');
    expect(compared.evaluations).toBe(35);
    expect(await distanceFromNode(compared)).toBeLessThan(1e-3);
    await page.waitForFunction(() => /looks like an? \d/.test(document.querySelector('[role=status]')!.textContent!));

    // Tab passes the link and reaches the pad; arrows move, wrapping around.
    for (const key of ['Tab', 'Tab']) await page.keyboard.press(key);
    expect(await page.evaluate(() => document.activeElement!.id)).toBe('across');
    let made = await count(page);
    for (const key of ['ArrowRight', 'ArrowUp', 'Shift+ArrowLeft']) await page.keyboard.press(key);
    const there = { across: 0.5 + 1 / 100 - 1 / 9, down: 0.5 - 1 / 100 };
    await page.waitForFunction((across) => {
      const { told } = window as unknown as { told: Told[] };
      return Math.abs(told.at(-1)!.positions[0]!.across - across) < 1e-9;
    }, there.across);
    const moved = await latest(page, 'consistency', made);
    expect(moved.positions[0]!.down).toBeCloseTo(there.down, 9);
    expect(await distanceFromNode(moved)).toBeLessThan(1e-3);
    expect(largestDifference(moved.values, first.values)).toBeGreaterThan(0.1);

    // Four steps and guidance.
    await page.getByRole('radio', { name: '1' }).focus();
    made = await count(page);
    for (const key of ['ArrowRight', 'ArrowRight']) await page.keyboard.press(key);
    await page.getByRole('slider', { name: 'Guidance by its own past' }).focus();
    for (let i = 0; i < 5; i++) await page.keyboard.press('ArrowRight');
    await page.waitForFunction(() => {
      const { told } = window as unknown as { told: Told[] };
      return told.some(({ steps, strength }) => steps === 4 && strength === 1.5);
    });
    const guided = await latest(page, 'consistency', made);
    expect(guided).toMatchObject({ steps: 4, strength: 1.5, evaluations: 8 });
    expect(await distanceFromNode(guided)).toBeLessThan(1e-3);

    // New noise, by its button.
    await page.getByRole('button', { name: 'New noise' }).press('Enter');
    await page.waitForFunction(() => (window as unknown as { told: Told[] }).told.at(-1)!.seed === 6);
    expect(errors).toEqual([]);
    await page.close();
  });

  it('follows the pointer, and wanders by itself until it is stopped', async () => {
    const { page, errors } = await open('engine=wasm');
    await latest(page, 'consistency');
    const box = (await page.locator('#pad').boundingBox())!;
    const at = (across: number, down: number) => [box.x + across * box.width, box.y + down * box.height] as const;
    await page.mouse.move(...at(0.2, 0.2));
    await page.mouse.down();
    await page.mouse.move(...at(0.7, 0.4), { steps: 5 });
    await page.waitForFunction(() => {
      const { told } = window as unknown as { told: Told[] };
      return Math.abs(told.at(-1)!.positions[0]!.across - 0.7) < 0.01;
    });
    await page.mouse.up();
    const wander = page.getByRole('button', { name: 'Wander' });
    const made = await count(page);
    await wander.click();
    await page.waitForFunction((made) => (window as unknown as { told: unknown[] }).told.length > made + 3, made);
    expect(await wander.getAttribute('aria-pressed')).toBe('true');
    await wander.click();
    expect(await wander.getAttribute('aria-pressed')).toBe('false');
    expect(errors).toEqual([]);
    await page.close();
  });

  it.each([
    { colorScheme: 'light', viewport: { width: 1200, height: 900 } },
    { colorScheme: 'dark', viewport: { width: 360, height: 640 } },
  ] as const)(
    'has no violation of accessibility rules that axe finds, $colorScheme, and fits $viewport.width pixels',
    async (options) => {
      const { page } = await open('engine=wasm', options);
      await latest(page, 'diffusion');
      await page.addScriptTag({ path: createRequire(import.meta.url).resolve('axe-core') });
      const violations = await page.evaluate(async () => {
        const { axe } = window as unknown as {
          axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
        };
        return (await axe.run()).violations.map(({ id, nodes }) => [id, ...nodes.map(({ html }) => html)]);
      });
      expect(violations).toEqual([]);
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(
        options.viewport.width,
      );
      if (options.viewport.width < 500) {
        const [pictures, pad] = await Promise.all(['.figures', '#pad'].map((of) => page.locator(of).boundingBox()));
        expect(pad!.y + pad!.height - pictures!.y, 'pictures and square are on one screen').toBeLessThan(844);
      }
      await page.close();
    },
  );

  it('shares the work on WebAssembly among threads where the page is isolated, and does it on one elsewhere', async () => {
    const threads = (page: Page) => page.evaluate(() => (crossOriginIsolated ? navigator.hardwareConcurrency : 1));
    const isolated = await open('engine=wasm&seed=3');
    const image = await latest(isolated.page, 'consistency');
    expect(await isolated.page.evaluate(() => crossOriginIsolated)).toBe(true);
    expect(isolated.page.workers().length).toBe((await threads(isolated.page)) - 1);
    await isolated.page.close();

    const page = await browser.newPage();
    await page.route(server.url, async (route) => {
      const response = await route.fetch();
      const headers = Object.entries(response.headers()).filter(([name]) => !name.startsWith('cross-origin'));
      await route.fulfill({ response, headers: Object.fromEntries(headers) });
    });
    await page.goto(server.url);
    expect(await threads(page)).toBe(1);
    await page.close();
    expect(await distanceFromNode(image)).toBeLessThan(1e-3);
  });

  it('keeps weights by the handlers of tf.io: fetched, stored in IndexedDB, loaded from there', async () => {
    await addModule(folder, fileURLToPath(new URL('tf-io-page.ts', import.meta.url)), 'tf-io.js');
    const { page, errors } = await open('engine=wasm');
    await latest(page, 'consistency');
    await page.addScriptTag({ url: 'tf-io.js', type: 'module' });
    const result = await page.evaluate(() => (window as unknown as TfIoPage).roundTrip('generator.safetensors'));
    expect(result).toMatchObject({ parameters: 470_624, equal: true });
    expect(Number(result.steps)).toBeGreaterThan(0);
    expect(errors).toEqual([]);
    await page.close();
  });

  // While the point is held, the diffusion model waits: on a GPU that is software it would take minutes.
  it.each(['webgl', 'webgpu'])(
    "changes to %s, and generates Node's values there, too",
    { timeout: 120_000 },
    async (engine) => {
      const { page, errors } = await open('engine=wasm&seed=2');
      await latest(page, 'consistency');
      const box = (await page.locator('#pad').boundingBox())!;
      const before = await count(page);
      await page.mouse.move(box.x + 0.3 * box.width, box.y + 0.6 * box.height);
      await page.mouse.down();
      const image = await latest(page, 'consistency', before);
      await page.getByLabel('Computed by').selectOption(engine);
      const other = await latest(page, 'consistency', await count(page));
      expect(other.engine).toBe(engine);
      expect(other.positions).toEqual(image.positions);
      expect(largestDifference(other.values, image.values)).toBeLessThan(1e-3);
      expect(await distanceFromNode(other)).toBeLessThan(1e-3);
      expect(errors).toEqual([]);
      await page.close();
    },
  );
});
