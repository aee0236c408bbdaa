// The line under the map: how much is there and selected, what the kernel is doing, how far it has come.

import { el } from "./common.js";

export function whole(number) {
  return number.toLocaleString("en");
}

function counted(number, one, many) {
  return `${whole(number)} ${number === 1 ? one : many}`;
}

/** Say in words what a view shows. */
function summary(view) {
  const { points, selection, highlight, query } = view.parts;
  const total = points?.count ?? 0;
  const said = [selection?.count ? `${whole(selection.count)} of ${whole(total)} selected` : counted(total, "point", "points")];
  if (typeof highlight?.count === "number") said.push(counted(highlight.count, "matches", "match"));
  if (query?.place && query.arrays.slots.length)
    said.push(counted(query.arrays.slots.length, "hit", "hits") + (query.approximate ? ", the query's place is approximate" : ""));
  if (points?.sampled) said.push("drawn from a sample over a picture of all");
  if (view.scene.kind === "2d") said.push("drawn without WebGL2");
  return said.join(" · ");
}

export class Foot {
  constructor(clear) {
    this.readout = el("span", { class: "cnb-map-readout", role: "status" });
    this.clear = el("button", { type: "button", class: "cnb-quiet", onclick: clear }, "Clear");
    this.text = el("span", { class: "cnb-map-status-text", role: "status", dir: "auto" });
    this.more = el("button", { type: "button", class: "cnb-quiet", onclick: () => this.#open(this.detail.hidden) }, "Details");
    this.detail = el("div", { class: "cnb-map-detail cnb-text cnb-muted" });
    this.done = el("div");
    this.progress = el("div", { class: "cnb-map-progress", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100" }, this.done);
    this.line = el("div", { class: "cnb-map-foot" }, this.readout, this.clear, el("span", { class: "cnb-map-gap" }), this.text, this.more);
    this.clear.hidden = true;
    this.say("");
  }

  get elements() {
    return [this.progress, this.line, this.detail];
  }

  count(view) {
    this.readout.textContent = summary(view);
    this.clear.hidden = !view.parts.selection?.count;
  }

  say(text, { failed = false, detail = "" } = {}) {
    this.text.replaceChildren(el("span", {}, text));
    this.text.classList.toggle("cnb-error", failed);
    this.detail.replaceChildren(el("span", {}, detail));
    this.more.hidden = !detail;
    this.#open(Boolean(detail) && !this.detail.hidden);
  }

  show({ text, fraction, detail }) {
    this.say(text, { detail });
    this.progress.dataset.shown = String(fraction !== null);
    this.done.style.width = `${100 * (fraction ?? 0)}%`;
    if (fraction === null) this.progress.removeAttribute("aria-valuenow");
    else this.progress.setAttribute("aria-valuenow", String(Math.round(100 * fraction)));
  }

  #open(open) {
    this.detail.hidden = !open;
    this.more.setAttribute("aria-expanded", String(open));
  }
}
