// Numbers drawn from a seed (mulberry32), and what the suites draw with them. CORACLE_CLIENTS_SEED sets
// another one.

export const SEED = Number(process.env.CORACLE_CLIENTS_SEED ?? 1);

export class Dice {
  constructor(seed = SEED) {
    this.state = seed >>> 0;
  }

  /** 0 to n - 1. */
  below(n) {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * n);
  }

  chance(percent) {
    return this.below(100) < percent;
  }

  one(items) {
    return items[this.below(items.length)];
  }
}
