// The points a page holds: where they are and were, how each looks. What it holds may be a sample of all; `rows` says which.

export const DIM = 1;
export const HOLLOW = 2;
export const RAISED = 4;

/** Return a function that tells whether the point in a slot is among those packed as bits (all of none: undefined). */
function bitsOf(bits) {
  return bits ? (slot) => (bits[slot >> 3] >> (slot & 7)) & 1 : () => 0;
}

export class Points {
  count = 0;
  held = 0;
  radius = 1;
  rows = null;
  from = new Float32Array(0);
  to = new Float32Array(0);
  codes = new Uint16Array(0);
  palette = new Uint8Array([128, 128, 128]);
  diameters = null;
  looks = new Uint8Array(0);
  raised = new Uint32Array(0);
  marks = {};

  /** Take new places; `share` is how far an animation under way has come. Returns whether the same points move from old places to new ones. */
  take({ count, dimensions, arrays }, frame, share) {
    const held = arrays.positions.length / dimensions;
    const rows = arrays.rows ?? null;
    const places = new Float32Array(3 * held);
    for (let slot = 0; slot < held; slot++)
      for (let axis = 0; axis < dimensions; axis++)
        places[3 * slot + axis] = (arrays.positions[dimensions * slot + axis] - frame.center[axis]) / frame.half;
    const same =
      held === this.held && count === this.count && (rows === this.rows || (rows && this.rows && rows.every((row, slot) => row === this.rows[slot])));
    if (same) for (let i = 0; i < places.length; i++) this.from[i] += (this.to[i] - this.from[i]) * share;
    else this.from = places;
    let radius = 0;
    for (let i = 0; i < places.length; i += 3) radius = Math.max(radius, Math.hypot(places[i], places[i + 1], places[i + 2]));
    Object.assign(this, { count, held, rows, to: places, radius });
    this.marks = { approximate: arrays.approximate };
    if (!same) Object.assign(this, { codes: new Uint16Array(held), diameters: null });
    return same;
  }

  /** The number, among all points, of the one in a slot. */
  row(slot) {
    return this.rows ? this.rows[slot] : slot;
  }

  place(slot, share) {
    return [0, 1, 2].map((axis) => this.from[3 * slot + axis] + (this.to[3 * slot + axis] - this.from[3 * slot + axis]) * share);
  }

  /** Decide how each point looks: what is selected, highlighted or a hit is drawn above the others, which are dimmed. */
  look({ selection, highlight, hits }) {
    const selected = bitsOf(selection?.arrays?.bits);
    const highlighted = bitsOf(highlight?.arrays?.bits);
    const approximate = bitsOf(this.marks.approximate);
    const choosing = Boolean(selection?.count);
    const filtering = highlight && highlight.count !== null;
    const looks = new Uint8Array(this.held);
    const raised = [];
    for (let slot = 0; slot < this.held; slot++) {
      let look = approximate(slot) ? HOLLOW : 0;
      if ((choosing && !selected(slot)) || (filtering && !highlighted(slot))) look |= DIM;
      else if (choosing || filtering) look |= RAISED;
      looks[slot] = look;
    }
    for (const slot of hits ?? []) if (slot >= 0) looks[slot] = (looks[slot] & HOLLOW) | RAISED;
    for (let slot = 0; slot < this.held; slot++) if (looks[slot] & RAISED) raised.push(slot);
    this.looks = looks;
    // Nothing stands out where everything does.
    this.raised = raised.length < this.held ? Uint32Array.from(raised) : new Uint32Array(0);
  }

  /** Return the slot of the point nearest to a pixel, of those within `radius` pixels, or -1. */
  nearest(project, x, y, radius, share) {
    let best = -1;
    let least = radius * radius;
    const { from, to } = this;
    for (let slot = 0; slot < this.held; slot++) {
      const i = 3 * slot;
      const [px, py] = project(
        from[i] + (to[i] - from[i]) * share,
        from[i + 1] + (to[i + 1] - from[i + 1]) * share,
        from[i + 2] + (to[i + 2] - from[i + 2]) * share,
      );
      // A point drawn above others is the one that is meant.
      const gap = ((px - x) ** 2 + (py - y) ** 2) * (this.looks[slot] & RAISED ? 0.5 : this.looks[slot] & DIM ? 2 : 1);
      if (gap < least) [best, least] = [slot, gap];
    }
    return best;
  }
}
