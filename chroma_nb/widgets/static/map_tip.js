// What stands beside the point that is pointed at: asked of the kernel once per point, shown as text.

import { el, newest } from "./common.js";

const REMEMBERED = 300;

function written({ title, text, lines }) {
  const table = lines.length
    ? el(
        "dl",
        {},
        lines.map(([name, value]) => [el("dt", { dir: "auto" }, name), el("dd", { dir: "auto" }, value)]),
      )
    : null;
  return [
    title ? el("div", { class: "cnb-map-tip-title", dir: "auto" }, title) : null,
    text ? el("div", { class: "cnb-map-tip-text cnb-text", dir: "auto" }, text) : null,
    table,
  ].filter(Boolean);
}

export class Tip {
  #answers = new Map();
  #latest = newest();
  #timer;
  #wanted = null;

  /** `ask` returns a promise of what is known of a point. */
  constructor(box, ask) {
    Object.assign(this, { box, ask });
  }

  /** Forget what was answered: the records may be others now. */
  forget() {
    this.#answers.clear();
    this.hide();
  }

  /** Show what is known of a point, `question`, which `key` names (null: it has no name yet). `known` is told the answer. */
  about(key, question, delay, known) {
    if (key !== null && key === this.#wanted) return;
    this.hide();
    this.#wanted = key;
    if (key !== null && this.#answers.has(key)) return this.#show(this.#answers.get(key), known);
    this.#timer = setTimeout(() => {
      this.#latest(this.ask(question), (answer) => {
        if (answer.row === null) return known(answer);
        if (this.#answers.size > REMEMBERED) this.#answers.clear();
        this.#answers.set(answer.row, answer);
        this.#show(answer, known);
      });
    }, delay);
  }

  #show(answer, known) {
    this.#wanted = answer.row;
    const content = written(answer);
    this.box.replaceChildren(...content);
    this.box.hidden = content.length === 0;
    known(answer);
  }

  /** Stand beside a pixel, inside a field of `width` x `height`. */
  place([x, y], width, height) {
    if (this.box.hidden) return;
    const { offsetWidth, offsetHeight } = this.box;
    const left = x + 16 + offsetWidth > width ? x - 16 - offsetWidth : x + 16;
    const top = Math.max(4, Math.min(height - offsetHeight - 4, y - offsetHeight / 2));
    this.box.style.transform = `translate(${Math.round(Math.max(4, left))}px, ${Math.round(top)}px)`;
  }

  hide() {
    clearTimeout(this.#timer);
    this.#latest(new Promise(() => {}));
    this.#wanted = null;
    this.box.hidden = true;
  }
}
