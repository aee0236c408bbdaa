// What the pointer or the keys point at: a point the page holds, or one that only the kernel can find.

import { Tip } from "./map_tip.js";

/** Pixels around the pointer in which the kernel looks for a point. */
const REACH = 8;

export class Pointing {
  #wanted = null;

  constructor(view, box, ask) {
    Object.assign(this, { view, ask, tip: new Tip(box, (question) => ask("hover", question)) });
  }

  /** What is under a pixel, in the kernel's terms (null: nothing); with its slot if the page knows it. */
  #under(x, y) {
    const { view } = this;
    if (!view.sampled) {
      const slot = view.slotAt(x, y);
      return slot < 0 ? null : { row: view.points.row(slot), slot };
    }
    const { places, matrix, radius } = view.ofKernel([[x, y]]);
    return { at: places[0], matrix, radius: radius.map((pixel) => pixel * REACH) };
  }

  /** Follow the pointer, once a frame at most. */
  hover(x, y) {
    if (this.#wanted === null) requestAnimationFrame(() => this.view.closed || this.#look());
    this.#wanted = [x, y];
  }

  #look() {
    if (this.#wanted === null) return;
    const found = this.view.density && !this.view.sampled ? null : this.#under(...this.#wanted);
    this.#wanted = null;
    if (found === null) this.leave();
    else if (found.slot !== undefined) this.#pointAt(found.slot);
    else this.tip.about(null, found, 70, (answer) => this.#hold(answer.row === null ? null : this.view.frame.toMap(answer.place)));
  }

  #pointAt(slot) {
    this.#hold(slot);
    const row = this.view.points.row(slot);
    this.tip.about(row, { row }, 60, () => this.place());
  }

  #hold(what) {
    this.view.stage.style.cursor = what === null ? "" : "pointer";
    this.view.hovered = what;
    this.view.wish();
  }

  leave() {
    this.#wanted = null;
    this.tip.hide();
    if (this.view.hovered !== null) this.#hold(null);
  }

  /** Keep what is shown beside its point. */
  place() {
    const at = this.view.hoveredAt();
    if (at) this.tip.place(at, this.view.camera.width, this.view.camera.height);
  }

  click(x, y, modifiers) {
    const { slot, ...found } = this.#under(x, y) ?? {};
    this.ask("click", { ...found, modifiers });
  }

  /** Open what is pointed at, as a click does. */
  open() {
    if (typeof this.view.hovered === "number") this.ask("click", { row: this.view.points.row(this.view.hovered), modifiers: [] });
  }

  /** Go to the next (1) or the previous (-1) hit of the query. */
  hit(by) {
    const hits = [...(this.view.parts.query?.arrays?.slots ?? [])].filter((slot) => slot >= 0);
    if (!hits.length) return;
    const now = hits.indexOf(this.view.hovered);
    const next = now < 0 ? (by > 0 ? 0 : hits.length - 1) : now + by;
    this.#pointAt(hits[(next + hits.length) % hits.length]);
  }
}
