// The legend: groups as buttons, a scale as a bar with dates or numbers. Names come from records and are only ever text.

import { el } from "./common.js";

function swatch(color, role) {
  return el("span", {
    class: `cnb-map-swatch${role === "missing" ? " cnb-map-swatch-missing" : ""}`,
    style: `background:${color}`,
    "aria-hidden": "true",
  });
}

function entry({ code, name, color, count, role }, act) {
  const pick = (event) => act.pick(code, event.altKey ? "remove" : event.shiftKey ? "add" : "replace");
  return el(
    "button",
    {
      type: "button",
      class: "cnb-quiet cnb-map-entry",
      title: `${name}: select ${count.toLocaleString("en")} (shift adds, alt removes)`,
      onclick: pick,
      onpointerenter: () => act.focus(code),
      onpointerleave: () => act.focus(-1),
      onfocus: () => act.focus(code),
      onblur: () => act.focus(-1),
    },
    swatch(color, role),
    el("span", { class: "cnb-map-name", dir: "auto" }, name),
    el("span", { class: "cnb-map-count" }, count.toLocaleString("en")),
  );
}

function bar({ stops, ticks }) {
  const marks = ticks.map(([share, text]) => el("span", { class: "cnb-map-tick", style: `--cnb-map-share:${share.toFixed(4)}` }, text));
  return el(
    "div",
    { class: "cnb-map-scale" },
    el("div", { class: "cnb-map-bar", style: `background:linear-gradient(var(--cnb-map-way), ${stops.join(", ")})` }),
    el("div", { class: "cnb-map-ticks" }, marks),
  );
}

/** Fill `box` with a legend; `act.pick(code, mode)` selects a group, `act.focus(code)` shows it alone while the pointer is on it. */
export function fillLegend(box, legend, act) {
  const has = legend && (legend.stops || legend.entries?.length);
  box.hidden = !has;
  if (!has) return box.replaceChildren();
  const title = legend.title ? el("div", { class: "cnb-map-legend-title", dir: "auto", title: legend.title }, legend.title) : null;
  const entries = el(
    "div",
    { class: "cnb-map-entries" },
    legend.entries.map((each) => entry(each, act)),
  );
  box.replaceChildren(...[title, legend.stops ? bar(legend) : null, entries].filter(Boolean));
}
