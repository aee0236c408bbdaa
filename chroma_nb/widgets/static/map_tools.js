// The strip of tools at the map's edge, and the keys that do the same.

import { el, icon } from "./common.js";

const ICONS = {
  pan: "M8 2v12M2 8h12M8 2 6 4M8 2l2 2M8 14l-2-2M8 14l2-2M2 8l2-2M2 8l2 2M14 8l-2-2M14 8l-2 2",
  lasso:
    "M4.5 10.5C2.8 9.8 2 8.7 2 7.3 2 4.9 4.7 3 8 3s6 1.9 6 4.3-2.7 4.3-6 4.3c-.9 0-1.7-.1-2.5-.4" +
    "M4.5 10.5a1.4 1.4 0 1 0 .5 2.3c.7-.6.7-1.5-.5-2.3M5 12.8c.2.8 0 1.5-.6 2.2",
  box: "M2.5 5V2.5H5M8 2.5h1M11 2.5h2.5V5M13.5 8v1M13.5 11v2.5H11M8 13.5H7M5 13.5H2.5V11M2.5 8V7",
  closer: "M8 3v10M3 8h10",
  farther: "M3 8h10",
  fit: "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
  density: "M8 13.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6M8 8.5a.5.5 0 1 0 0-1 .5.5 0 0 0 0 1",
  save: "M8 2.5v7.5M5 7.5l3 3 3-3M3 13.5h10",
};

/** Pixels that an arrow key moves the map. */
const STRIDE = 50;

/**
 * Return the strip. `act` has fit(), zoom(factor), move(x, y), density(), save(), clear() -> whether there was a selection, hit(by), open().
 * What is chosen is in `tools.chosen`; `tools.key(name)` does what a key means and tells whether it means something.
 */
export function toolsOf(root, act) {
  const tools = {
    box: el("div", { class: "cnb-map-tools", role: "toolbar", "aria-label": "Map tools", "aria-orientation": "vertical" }),
    choose,
    press,
    key,
  };
  const buttons = {};

  function button(name, label, call, pressed) {
    buttons[name] = el(
      "button",
      {
        type: "button",
        class: "cnb-quiet",
        title: label,
        "aria-label": label,
        "aria-pressed": pressed ? "false" : null,
        "data-name": name,
        onclick: call,
      },
      icon(ICONS[name]),
    );
    return buttons[name];
  }

  function press(name, pressed) {
    buttons[name].setAttribute("aria-pressed", String(pressed));
  }

  function choose(name) {
    tools.chosen = root.dataset.tool = name;
    for (const each of ["pan", "lasso", "box"]) press(each, each === name);
  }

  tools.box.append(
    button("pan", "Pan (P)", () => choose("pan"), true),
    button("lasso", "Lasso (L), or drag with Shift; Shift adds, Alt removes", () => choose("lasso"), true),
    button("box", "Box (B); Shift adds, Alt removes", () => choose("box"), true),
    el("hr"),
    button("closer", "Zoom in (+)", () => act.zoom(1.6)),
    button("farther", "Zoom out (-)", () => act.zoom(1 / 1.6)),
    button("fit", "Show all (0)", () => act.fit()),
    el("hr"),
    button("density", "Density (D)", () => act.density(), true),
    button("save", "Save as PNG", () => act.save()),
  );
  choose("pan");

  const keys = {
    ArrowLeft: () => act.move(STRIDE, 0),
    ArrowRight: () => act.move(-STRIDE, 0),
    ArrowUp: () => act.move(0, STRIDE),
    ArrowDown: () => act.move(0, -STRIDE),
    "+": () => act.zoom(1.4),
    "=": () => act.zoom(1.4),
    "-": () => act.zoom(1 / 1.4),
    0: () => act.fit(),
    Home: () => act.fit(),
    p: () => choose("pan"),
    l: () => choose("lasso"),
    b: () => choose("box"),
    d: () => act.density(),
    n: () => act.hit(1),
    N: () => act.hit(-1),
    Enter: () => act.open(),
    Escape: () => act.clear() || choose("pan"),
  };

  function key(name) {
    const call = keys[name] ?? keys[name.toLowerCase()];
    call?.();
    return Boolean(call);
  }

  return tools;
}
