// Runs tfjs-core's own conformance suite, as it comes in its npm package, on the torch backend.
//   node conformance/run.mjs [--filter TEXT] [--json FILE]
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import Jasmine from 'jasmine';
import { leftOut } from './left-out.mjs';

const { values: options } = parseArgs({ options: { filter: { type: 'string' }, json: { type: 'string' } } });
const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
const core = dirname(require.resolve('@tensorflow/tfjs-core/package.json'));
const out = join(here, '../node_modules/.cache/conformance');
mkdirSync(out, { recursive: true });

// Specs that say what a backend must do, and those of tfjs-core itself that run on one.
const specs = readdirSync(join(core, 'dist'), { recursive: true })
  .map(String)
  .filter((file) => file.endsWith('_test.js'))
  .sort();
const at = (file) => JSON.stringify(join(core, 'dist', file));
const backend = resolve(here, '../src/index.ts');
const entry = [
  `import ${at('index.js')};`,
  `import ${at('public/chained_ops/register_all_chained_ops.js')};`,
  `import ${at('register_all_gradients.js')};`,
  `import ${JSON.stringify(require.resolve('@tensorflow/tfjs-backend-cpu/dist/index.js'))};`,
  `import ${JSON.stringify(backend)};`,
  `import { setTestEnvs } from ${at('jasmine_util.js')};`,
  "setTestEnvs([{ name: 'torch', backendName: 'torch', isDataSync: true }]);",
].join('\n');
// The environment comes first: specs register themselves while they are imported.
writeFileSync(join(out, 'environment.mjs'), entry);
writeFileSync(
  join(out, 'entry.mjs'),
  [`import ${JSON.stringify(join(out, 'environment.mjs'))};`, ...specs.map((file) => `import ${at(file)};`)].join('\n'),
);
await build({
  entryPoints: [join(out, 'entry.mjs')],
  outfile: join(out, 'suite.cjs'),
  bundle: true,
  platform: 'node',
  format: 'cjs',
  // The package's sideEffects list would drop most specs.
  ignoreAnnotations: true,
  external: ['jasmine-core', 'jasmine-core/*'],
  alias: { '@tensorflow/tfjs-core': join(core, 'dist/index.js') },
  logLevel: 'error',
});

const jasmine = new Jasmine({ projectBaseDir: out });
jasmine.exitOnCompletion = false;
jasmine.addMatchingHelperFiles([]);
jasmine.randomizeTests(false);
jasmine.clearReporters();
const counts = { files: specs.length, passed: 0, failed: 0, leftOut: 0 };
const failures = [];
jasmine.addReporter({
  specDone: ({ status, fullName, failedExpectations }) => {
    if (status === 'passed') counts.passed++;
    else if (status === 'failed') {
      counts.failed++;
      failures.push({ name: fullName, message: failedExpectations[0]?.message ?? '' });
    } else counts.leftOut++;
  },
});
jasmine.env.configure({
  specFilter: (spec) => {
    const name = spec.getFullName();
    return (!options.filter || name.includes(options.filter)) && !leftOut.some(({ spec }) => name.includes(spec));
  },
});
// A suite may leave a promise behind that nobody waits for: that is not a failure of a spec.
process.on('unhandledRejection', () => {});
const quiet = ['log', 'warn', 'error', 'info'].map((name) => [name, console[name]]);
for (const [name] of quiet) console[name] = () => {};
await jasmine.execute([pathToFileURL(join(out, 'suite.cjs')).pathname]);
for (const [name, f] of quiet) console[name] = f;

for (const { name, message } of failures) console.log(`✗ ${name}\n    ${message.split('\n')[0].slice(0, 300)}`);
if (options.json) writeFileSync(options.json, JSON.stringify({ ...counts, failures }, undefined, 2));
console.log(`${counts.files} spec files: ${counts.passed} passed, ${counts.failed} failed, ${counts.leftOut} left out`);
process.exit(counts.failed > 0 || counts.passed === 0 ? 1 : 0);
