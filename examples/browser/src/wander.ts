import type { Position } from './noise-map';

/** Turns a second, in two directions whose paths do not close soon. */
const speed = { across: 0.03, down: 0.03 / ((1 + Math.sqrt(5)) / 2) };

/** A button that lets the point wander over the pad by itself. `stop` is for when the user takes over. */
export function createWander(
  button: HTMLButtonElement,
  { from, onMove }: { from: () => Position; onMove: (position: Position) => void },
) {
  let frame: number | undefined;
  const stop = () => {
    if (frame !== undefined) cancelAnimationFrame(frame);
    frame = undefined;
    button.setAttribute('aria-pressed', 'false');
  };
  const start = () => {
    button.setAttribute('aria-pressed', 'true');
    let last = performance.now();
    const step = (now: number) => {
      const seconds = Math.max(0, Math.min(now - last, 100)) / 1000;
      last = now;
      const { across, down } = from();
      onMove({ across: across + seconds * speed.across, down: down + seconds * speed.down });
      frame = requestAnimationFrame(step);
    };
    frame = requestAnimationFrame(step);
  };
  button.addEventListener('click', () => (frame === undefined ? start() : stop()));
  return { stop };
}
