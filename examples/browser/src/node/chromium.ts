import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium } from 'playwright-core';

/**
 * Starts the Chromium that comes as an npm package: its binary, the shared libraries that it needs beyond Node's own, a font and a
 * software renderer for WebGL and WebGPU. So a machine needs nothing but npm. Elsewhere than on Linux with an x64 processor, the environment variable
 * CHROMIUM names one that is installed.
 *
 * @throws Error where the package does not run and CHROMIUM is not set
 */
export function startChromium(): Promise<Browser> {
  const args = [
    // Containers run as root, which Chromium's sandbox refuses; the pages are our own.
    '--no-sandbox',
    '--no-zygote',
    '--disable-dev-shm-usage',
    '--use-angle=swiftshader',
    '--enable-unsafe-swiftshader',
    '--enable-unsafe-webgpu',
    '--use-webgpu-adapter=swiftshader',
  ];
  if (process.env.CHROMIUM) return chromium.launch({ executablePath: process.env.CHROMIUM, args });
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error(
      `startChromium: the packaged Chromium is for linux x64, this is ${process.platform} ${process.arch}: set CHROMIUM to the path of one`,
    );
  }
  const folder = unpacked();
  const libraries = [join(folder, 'al2023', 'lib'), process.env.LD_LIBRARY_PATH].filter(Boolean).join(':');
  return chromium.launch({
    executablePath: join(folder, 'chromium'),
    args,
    env: { ...process.env, FONTCONFIG_PATH: join(folder, 'fonts'), LD_LIBRARY_PATH: libraries } as Record<
      string,
      string
    >,
  });
}

/** The machine's fonts, if it has any, and the package's own, which lie beside this file. */
const fontConfiguration = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>/usr/share/fonts</dir>
  <dir prefix="relative">fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
`;

/** Unpacks the package once: 200 MB that are 66 MB in it. */
function unpacked(): string {
  const main = createRequire(import.meta.url).resolve('@sparticuz/chromium');
  const { version } = JSON.parse(readFileSync(join(dirname(main), '../../package.json'), 'utf8')) as {
    version: string;
  };
  const cache = fileURLToPath(new URL('../../../../node_modules/.cache', import.meta.url));
  const folder = join(cache, `chromium-${version}`);
  if (existsSync(folder)) return folder;
  mkdirSync(cache, { recursive: true });
  const aside = mkdtempSync(join(cache, 'chromium-'));
  try {
    // The package unpacks where temporary files go, and its libraries only where it takes the machine for Amazon's.
    const unpack = "import('@sparticuz/chromium').then(({ default: chromium }) => chromium.executablePath())";
    execFileSync(process.execPath, ['--input-type=module', '--eval', unpack], {
      cwd: dirname(fileURLToPath(import.meta.url)),
      env: { ...process.env, TMPDIR: aside, AWS_LAMBDA_JS_RUNTIME: 'nodejs22.x' },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    writeFileSync(join(aside, 'fonts', 'fonts.conf'), fontConfiguration);
    renameSync(aside, folder);
  } catch (error) {
    rmSync(aside, { recursive: true, force: true });
    // Another process may have been faster.
    if (!existsSync(folder)) throw error;
  }
  return folder;
}
