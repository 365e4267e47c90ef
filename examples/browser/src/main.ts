import { type EngineName, engines, findEngines } from './engine';
import { byConsistency, byDiffusion, diffusionSteps, type Generated } from './generate';
import type { Steps } from './models';
import type { Position } from './noise-map';
import { createPad } from './pad';
import { paint } from './picture';
import { openSession, type Session } from './session';
import { urgentFirst } from './tasks';
import { createWander } from './wander';
import { loadWeights, type Weights } from './weights';

/** Images along a side of the atlas. */
const tiles = 9;
/** How long the point rests, let go of, before the diffusion model follows, in milliseconds. */
const rest = 250;

const element = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const status = element('status');
const strength = element<HTMLInputElement>('strength');
const engineMenu = element<HTMLSelectElement>('engine');
const controls = element<HTMLFormElement>('controls');
const atlas = element<HTMLCanvasElement>('atlas');

const say = (text: string, failed = false) => {
  status.textContent = text;
  status.classList.toggle('failed', failed);
};
const fail = (error: unknown) => say(`That failed: ${(error as Error).message}`, true);

// What is wanted, and what of it is still to be done.

const query = new URLSearchParams(location.search);
const wanted = {
  engine: 'wasm' as EngineName,
  seed: Math.max(0, Math.floor(Number(query.get('seed')) || 0)),
  steps: 1 as Steps,
  strength: 1,
};
const due = { consistency: false, diffusion: false, row: 0 };
let moved = 0;
let session: Session | undefined;
let weights: Weights | undefined;
let shown: Generated | undefined;

const pad = createPad(
  { pad: element('pad'), thumb: element('thumb'), across: element('across'), down: element('down') },
  {
    onMove(position) {
      wander.stop();
      moveTo(position);
    },
    onRelease: () => wake(),
  },
);
const wander = createWander(element('wander'), {
  from: pad.position,
  onMove: (position) => {
    pad.place(position);
    moveTo(position);
  },
});

/** The point moved: its image first, the comparison when it rests. */
function moveTo(_: Position) {
  due.consistency = true;
  due.diffusion = true;
  moved = performance.now();
  element('diffusion').classList.add('stale');
  wake();
}

/** Another way of generating: the atlas is to be made anew, too. */
function restart() {
  due.row = 0;
  moveTo(pad.position());
}

// Tasks, the most urgent first.

function changeEngine() {
  const ready = weights;
  if (!ready || session?.engine === wanted.engine) return undefined;
  const { title } = engines[wanted.engine];
  return (async () => {
    say(`Starting ${title}`);
    engineMenu.value = wanted.engine;
    session?.dispose();
    session = undefined;
    const name = wanted.engine;
    try {
      session = await openSession(name, ready);
      say(`Computed by ${title}`);
    } catch (error) {
      if (name === 'wasm') throw error;
      // A GPU's driver may refuse what its interface promised.
      say(`${title} failed, WebAssembly takes over: ${(error as Error).message}`, true);
      wanted.engine = 'wasm';
    }
    moveTo(pad.position());
  })();
}

function generate() {
  if (!session || !due.consistency) return undefined;
  due.consistency = false;
  const { models, engine } = session;
  const noises = { seed: wanted.seed, positions: [pad.position()] };
  const manner = { steps: wanted.steps, strength: wanted.strength };
  return (async () => {
    shown = await byConsistency(models, noises, manner);
    paint(element('consistency'), shown.values, models.imageShape);
    showCost('consistency', shown, `${manner.steps} step${manner.steps === 1 ? '' : 's'}`);
    announce('consistency', shown, { ...noises, ...manner, engine });
  })();
}

function compare() {
  if (!session || !due.diffusion || !shown || pad.held()) return undefined;
  const left = moved + rest - performance.now();
  if (left > 0) {
    setTimeout(wake, left);
    return undefined;
  }
  due.diffusion = false;
  const { models, reader, engine } = session;
  const noises = { seed: wanted.seed, positions: [pad.position()] };
  const own = shown;
  return (async () => {
    const image = await byDiffusion(models, noises);
    const canvas = element<HTMLCanvasElement>('diffusion');
    paint(canvas, image.values, models.imageShape);
    canvas.classList.remove('stale');
    showCost('diffusion', image, `${diffusionSteps} steps`);
    element('consistency-bar').style.width = `${Math.max(1, (100 * own.milliseconds) / image.milliseconds)}%`;
    element('diffusion-bar').style.width = '100%';

    const readings = [
      await reader.read(own.values, models.imageShape),
      await reader.read(image.values, models.imageShape),
    ];
    element('consistency').setAttribute('aria-label', `Looks like ${readings[0]}`);
    canvas.setAttribute('aria-label', `Looks like ${readings[1]}`);
    say(
      `${engines[engine].title}. The consistency model’s digit looks like ${readings[0]}, the diffusion model’s like ${readings[1]}; ` +
        `one took ${duration(own)}, the other ${duration(image)}.`,
    );
    announce('diffusion', image, { ...noises, engine });
  })();
}

function drawAtlas() {
  if (!session || due.row >= tiles) return undefined;
  const row = due.row++;
  const { models } = session;
  const [height, width, channels] = models.imageShape;
  const positions = Array.from({ length: tiles }, (_, i) => ({ across: (i + 0.5) / tiles, down: (row + 0.5) / tiles }));
  return (async () => {
    const { values } = await byConsistency(models, { seed: wanted.seed, positions }, wanted);
    const size = { width: tiles * width, height: tiles * height };
    if (atlas.width !== size.width) Object.assign(atlas, size);
    positions.forEach((_, i) => {
      const pixels = height * width * channels;
      const place = { x: i * width, y: row * height };
      paint(atlas, values.subarray(i * pixels, (i + 1) * pixels), models.imageShape, place);
    });
  })();
}

const wake = urgentFirst([changeEngine, generate, compare, drawAtlas], fail);

// What is told.

const duration = ({ milliseconds }: Generated) =>
  `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`;

function showCost(name: 'consistency' | 'diffusion', image: Generated, steps: string) {
  const cost = element(`${name}-cost`);
  const time = document.createElement('strong');
  time.textContent = duration(image);
  const { evaluations } = image;
  cost.replaceChildren(
    time,
    document.createElement('br'),
    `${steps}, ${evaluations} evaluation${evaluations === 1 ? '' : 's'}`,
  );
}

/** Every image's numbers go out as an event, for tests and for the curious: `document.addEventListener('generated', …)`. */
function announce(model: 'consistency' | 'diffusion', image: Generated, how: object) {
  document.dispatchEvent(new CustomEvent('generated', { detail: { model, ...image, ...how } }));
}

// What the user sets.

controls.addEventListener('submit', (event) => event.preventDefault());
controls.addEventListener('change', ({ target }) => {
  const { name, value } = target as HTMLInputElement;
  if (name !== 'steps') return;
  wanted.steps = Number(value) as Steps;
  restart();
});
strength.addEventListener('input', () => {
  wanted.strength = Number(strength.value);
  const text = wanted.strength === 1 ? 'off' : `w = ${wanted.strength.toFixed(1)}`;
  element('strength-value').textContent = text;
  strength.setAttribute('aria-valuetext', text);
  restart();
});
strength.setAttribute('aria-valuetext', 'off');
engineMenu.addEventListener('change', () => {
  wanted.engine = engineMenu.value as EngineName;
  wake();
});
element('new-noise').addEventListener('click', () => {
  wanted.seed++;
  restart();
});

try {
  const { names, best } = await findEngines();
  const asked = names.find((name) => name === query.get('engine'));
  wanted.engine = asked ?? best;
  engineMenu.replaceChildren(...names.map((name) => new Option(engines[name].title, name)));
  engineMenu.value = wanted.engine;
  weights = await loadWeights();
  engineMenu.disabled = false;
  wake();
} catch (error) {
  fail(error);
}
