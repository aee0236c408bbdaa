// The row above the map, which the kernel fills: choices, questions, switches, buttons.

import { el } from "./common.js";

function made(control, tell) {
  const { name, label, kind, options = [], placeholder } = control;
  if (kind === "button") return el("button", { type: "button", onclick: () => tell(name, null), "data-control": name }, label);
  if (kind === "toggle") {
    const press = (event) => tell(name, event.currentTarget.getAttribute("aria-pressed") !== "true");
    return el("button", { type: "button", "aria-pressed": "false", onclick: press, "data-control": name }, label);
  }
  if (kind === "select") {
    const choices = options.map((option, at) => el("option", { value: String(at) }, option));
    const select = el("select", { "data-control": name, "aria-label": label, onchange: (event) => tell(name, Number(event.target.value)) }, choices);
    return el("label", { class: "cnb-map-choice" }, el("span", { class: "cnb-muted" }, label), select);
  }
  const input = el("input", {
    type: "search",
    placeholder: placeholder || label,
    "aria-label": label,
    "data-control": name,
    spellcheck: "false",
    autocomplete: "off",
  });
  input.addEventListener("keydown", (event) => event.key === "Enter" && tell(name, input.value));
  // The cross in the box empties it; that is an answer too.
  input.addEventListener("search", () => input.value === "" && tell(name, ""));
  return el("span", { class: "cnb-map-asking" }, input);
}

function fill(element, { kind, value }) {
  if (kind === "toggle") element.setAttribute("aria-pressed", String(value));
  else if (kind === "text") {
    // What is being typed stays, unless the kernel says something else than it said last.
    if (element.dataset.told !== value) element.value = element.dataset.told = value;
  } else if (kind !== "button" && element.value !== String(value ?? "")) element.value = value ?? "";
}

function grouped(controls) {
  const groups = [];
  for (const control of controls) {
    const last = groups[groups.length - 1];
    if (last && control.group && last[0].group === control.group) last.push(control);
    else groups.push([control]);
  }
  return groups;
}

/** Return a function that shows controls in `box`; elements stay as long as the controls are the same, so that nobody loses the focus. */
export function controlsIn(box, tell) {
  let before = "";
  return (controls) => {
    const shape = JSON.stringify(controls.map((control) => ({ ...control, value: null })));
    const elements = () => [...box.querySelectorAll("[data-control]")];
    if (shape !== before) {
      before = shape;
      const focused = elements().indexOf(box.getRootNode().activeElement);
      const groups = grouped(controls).map((group) => {
        const wide = group.some(({ kind }) => kind === "text");
        return el(
          "div",
          { class: wide ? "cnb-map-group cnb-map-wide" : "cnb-map-group", role: "group", "aria-label": group[0].group || null },
          group.map((control) => made(control, tell)),
        );
      });
      box.replaceChildren(...groups);
      box.hidden = controls.length === 0;
      elements()[focused]?.focus();
    }
    elements().forEach((element, at) => fill(element, controls[at]));
  };
}
