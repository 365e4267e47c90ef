import { type Position, wrapped } from './noise-map';

/** Steps of the arrow keys in one turn, and those of a key with Shift: a tile of the atlas. */
const fine = 1 / 100;
const coarse = 1 / 9;

/** The elements of the pad. */
export interface PadElements {
  readonly pad: HTMLElement;
  readonly thumb: HTMLElement;
  /** Two native sliders, out of sight: what a screen reader and the Tab key meet. */
  readonly across: HTMLInputElement;
  readonly down: HTMLInputElement;
}

/** What the pad tells. */
export interface PadEvents {
  /** The user moved the point. */
  onMove(position: Position): void;
  /** The user let go of it. */
  onRelease(): void;
}

/** Lets pointer, keyboard and assistive technology move a point over the pad. */
export function createPad({ pad, thumb, across, down }: PadElements, { onMove, onRelease }: PadEvents) {
  let position: Position = { across: 0.5, down: 0.5 };
  let held = false;

  const place = (next: Position) => {
    position = wrapped(next);
    thumb.style.left = `${100 * position.across}%`;
    thumb.style.top = `${100 * position.down}%`;
    for (const [input, value] of [
      [across, position.across],
      [down, position.down],
    ] as const) {
      const percent = Math.floor(100 * value + 1e-9);
      input.value = String(percent);
      input.setAttribute('aria-valuetext', `${percent} hundredths of a turn`);
    }
  };
  const move = (next: Position) => {
    place(next);
    onMove(position);
  };

  const follow = (event: PointerEvent) => {
    const { left, top, width, height } = pad.getBoundingClientRect();
    move({ across: (event.clientX - left) / width, down: (event.clientY - top) / height });
  };
  pad.addEventListener('pointerdown', (event) => {
    event.preventDefault();
    across.focus({ preventScroll: true });
    pad.setPointerCapture(event.pointerId);
    held = true;
    follow(event);
  });
  pad.addEventListener('lostpointercapture', () => {
    held = false;
    onRelease();
  });
  pad.addEventListener('pointermove', (event) => {
    if (pad.hasPointerCapture(event.pointerId)) follow(event);
  });

  // All four arrows, whichever slider has the focus.
  const directions: Record<string, [across: number, down: number]> = {
    ArrowLeft: [-1, 0],
    ArrowRight: [1, 0],
    ArrowUp: [0, -1],
    ArrowDown: [0, 1],
  };
  pad.addEventListener('keydown', (event) => {
    const direction = directions[event.key];
    if (!direction || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const step = event.shiftKey ? coarse : fine;
    move({ across: position.across + step * direction[0], down: position.down + step * direction[1] });
  });
  // Home, End, and what assistive technology sets.
  across.addEventListener('input', () => move({ ...position, across: Number(across.value) / 100 }));
  down.addEventListener('input', () => move({ ...position, down: Number(down.value) / 100 }));

  place(position);
  return { place, position: () => position, held: () => held };
}
