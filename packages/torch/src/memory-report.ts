import type { Addon } from './addon';

const STEP = 64 * 2 ** 20;
const WINDOW_MS = 1000;

/**
 * Tells V8 how much memory its tensors hold outside its heap, so that it collects forgotten ones in time. A training step takes and
 * gives back gigabytes; V8 hears of the greatest level of the last second alone, or it would collect garbage all the time.
 */
export class MemoryReport {
  private level = 0;
  private reported = 0;
  private highest = 0;
  private since = 0;

  constructor(private readonly addon: Addon) {}

  change(bytes: number): void {
    this.level += bytes;
    if (this.level > this.highest) this.highest = this.level;
    if (this.level > this.reported + STEP) this.report(this.level);
    else if (bytes < 0 && this.reported > this.level + STEP) this.lower();
  }

  private lower(): void {
    const now = performance.now();
    if (now - this.since < WINDOW_MS) return;
    if (this.highest + STEP < this.reported) this.report(this.highest);
    this.since = now;
    this.highest = this.level;
  }

  private report(level: number): void {
    this.addon.reportMemory(level - this.reported);
    this.reported = level;
    this.highest = level;
    this.since = performance.now();
  }
}
