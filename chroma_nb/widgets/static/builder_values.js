import { el, settled } from "./common.js";
import { combobox } from "./builder_popup.js";

// The inputs for values: one for each kind and number of values. Each is given a `place`: the row, its field and operator, what suggests
// values, and `changed()` to call when the row's operands are others.

const LARGEST = 2 ** 53;

/** Return what a value of this row is taken for: the kinds that field and operator share, and those that it already holds. */
export function kindsOf(row, field, operator) {
  const fitting = operator.list ? field.elements : field.kinds;
  const kinds = (fitting.length ? fitting : operator.kinds).filter((kind) => operator.kinds.includes(kind));
  for (const operand of row.operands) if (operand && !kinds.includes(operand.kind)) kinds.push(operand.kind);
  return kinds.length ? kinds : ["str"];
}

/** Return the operands of a row whose field or operator was changed: the same ones, where they still fit. */
export function fitted(row, field, operator) {
  const kinds = (operator.list ? field.elements : field.kinds).filter((kind) => operator.kinds.includes(kind));
  const kept = row.operands.filter((operand) => operand && (!kinds.length || kinds.includes(operand.kind)));
  if (operator.operand === "range") return row.op === "between" ? row.operands : [kept[0] ?? null, null];
  if (operator.operand === "values") return kept;
  if (!kept.length && kinds.length === 1 && kinds[0] === "bool") return [{ kind: "bool", text: "true" }];
  return kept.slice(0, 1);
}

/** Return the inputs for the values of a row. */
export function valueInputs(place) {
  const { row, field, operator } = place;
  const kinds = kindsOf(row, field, operator);
  const held = row.operands.find((operand) => operand)?.kind ?? row.kind;
  const kind = kinds.includes(held) ? held : kinds[0];
  const inputs = operator.operand === "values" ? tags(place, kind) : operator.operand === "range" ? range(place, kind) : single(place, kind);
  return el("div", { class: "cnb-builder-values" }, kinds.length > 1 && kindSelect(place, kinds, kind), inputs);
}

const KINDS = { str: "text", number: "number", bool: "yes/no", datetime: "date" };

function kindSelect({ row, redraw }, kinds, kind) {
  const select = el(
    "select",
    { class: "cnb-builder-kind", "aria-label": "kind of value" },
    kinds.map((each) => el("option", { value: each, selected: each === kind }, KINDS[each])),
  );
  select.addEventListener("change", () => {
    row.kind = select.value;
    row.operands = select.value === "bool" ? [{ kind: "bool", text: "true" }] : [];
    redraw("value");
  });
  return select;
}

function single(place, kind) {
  const { row } = place;
  const set = (operand) => {
    row.operands = operand ? [operand] : [];
    place.changed();
  };
  const operand = row.operands[0] ?? null;
  if (kind === "bool") return toggle(operand, set);
  if (kind === "datetime") return dateInput(place, operand, set, "value");
  if (kind !== "number") return textInput(place, operand, set);
  const input = numberInput(place, operand, set, "value");
  const sliding = ["$gt", "$gte", "$lt", "$lte"].includes(row.op) && scaleOf(place.field);
  if (!sliding) return input;
  const slider = sliders(sliding, [operand], ["value"], (_, text) => {
    input.value = text;
    set({ kind: "number", text });
  });
  input.addEventListener("input", () => slider.show([input.value]));
  return [input, slider];
}

function range(place, kind) {
  const { row } = place;
  const ends = ["from", "to"];
  const set = (i) => (operand) => {
    const operands = [row.operands[0] ?? null, row.operands[1] ?? null];
    operands[i] = operand;
    row.operands = operands;
    place.changed();
  };
  const make = kind === "datetime" ? dateInput : numberInput;
  const inputs = ends.map((end, i) => make(place, row.operands[i] ?? null, set(i), end));
  const dash = el("span", { class: "cnb-muted" }, "to");
  const scale = kind === "number" && scaleOf(place.field);
  if (!scale) return [inputs[0], dash, inputs[1]];
  const slider = sliders(scale, row.operands.length ? row.operands : [null, null], ends, (i, text) => {
    inputs[i].value = text;
    set(i)({ kind: "number", text });
  });
  inputs.forEach((input) => input.addEventListener("input", () => slider.show(inputs.map((each) => each.value))));
  return [inputs[0], dash, inputs[1], slider];
}

/** A text: as long as nothing stands in the input there is no value, unless the empty text was chosen from the suggestions. */
function textInput(place, operand, set) {
  const text = operand?.text ?? "";
  const hint = operand && text === "" ? "(empty text)" : place.operator.token.includes("regex") ? "regular expression" : "value";
  const typed = (value) => set(value === "" ? null : { kind: "str", text: value });
  const multiline = /[\r\n]/.test(text);
  if (place.suggests && !multiline)
    return combobox({
      value: text,
      label: "value",
      placeholder: hint,
      load: (value) => place.values(value, "str"),
      typed,
      picked: (item, input) => {
        input.value = item.operand.text;
        input.placeholder = item.operand.text === "" ? "(empty text)" : "value";
        set(item.operand);
      },
      attributes: { "data-part": "value" },
    });
  // A one-line input would drop the line ends of a text.
  const attributes = multiline ? { rows: 3 } : { type: "text", autocomplete: "off" };
  const input = el(multiline ? "textarea" : "input", {
    ...attributes,
    class: "cnb-builder-words",
    "aria-label": "value",
    placeholder: hint,
    spellcheck: "false",
    dir: "auto",
    "data-part": "value",
    oninput: () => typed(input.value),
  });
  input.value = text;
  return input;
}

function numberInput(place, operand, set, label) {
  const { least, greatest } = place.field;
  const hint = label === "from" ? least : label === "to" ? greatest : null;
  const input = el("input", {
    type: "text",
    class: "cnb-builder-number",
    "aria-label": label,
    placeholder: hint && hint.kind === "number" ? hint.text : "number",
    autocomplete: "off",
    "data-part": label === "to" ? "upper" : "value",
    oninput: () => set(input.value.trim() === "" ? null : { kind: "number", text: input.value.trim() }),
  });
  input.setAttribute("inputmode", "decimal");
  input.value = operand?.text ?? "";
  return input;
}

function dateInput(place, operand, set, label) {
  const text = operand?.text ?? "";
  const zone = operand ? operand.zone : place.field.zone;
  // The browser's own input ends at milliseconds; a finer moment is shown, and edited, as text.
  const native = /^(|\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?)$/.test(text);
  const input = el("input", {
    type: native ? "datetime-local" : "text",
    class: "cnb-builder-date",
    step: native ? (text.includes(".") ? "0.001" : "1") : undefined,
    "aria-label": zone ? `${label}, ${zone}` : label,
    "data-part": label === "to" ? "upper" : "value",
    oninput: () => set(input.value.trim() === "" ? null : { kind: "datetime", text: input.value.trim(), zone: zone ?? null, ns: null }),
  });
  input.value = text;
  return el("span", { class: "cnb-builder-moment" }, input, zone && el("span", { class: "cnb-muted cnb-text" }, zone));
}

function toggle(operand, set) {
  const on = operand?.text === "true";
  const button = el(
    "button",
    {
      type: "button",
      class: "cnb-builder-switch",
      role: "switch",
      "aria-checked": String(on),
      "aria-label": "value",
      "data-part": "value",
      onclick: () => {
        const next = button.getAttribute("aria-checked") !== "true";
        button.setAttribute("aria-checked", String(next));
        button.lastChild.textContent = next ? "true" : "false";
        set({ kind: "bool", text: String(next) });
      },
    },
    el("span", { class: "cnb-builder-knob", "aria-hidden": "true" }),
    el("span", {}, on ? "true" : "false"),
  );
  return button;
}

/** Several values as tags, and an input that adds one. */
function tags(place, kind) {
  const { row } = place;
  const box = el("div", { class: "cnb-builder-tags" });
  const add = (operand) => {
    if (row.operands.some((each) => each.text === operand.text && each.kind === operand.kind)) return;
    row.operands = [...row.operands, operand];
    place.changed();
    draw();
    box.querySelector("[data-part=value]")?.focus();
  };
  const remove = (i) => {
    row.operands = row.operands.filter((_, at) => at !== i);
    place.changed();
    draw();
    box.querySelector("[data-part=value]")?.focus();
  };
  function draw() {
    const chips = row.operands.map((operand, i) =>
      el(
        "span",
        { class: "cnb-builder-tag" },
        el("span", { class: "cnb-text" }, operand.text === "" ? "(empty text)" : operand.text.slice(0, 80)),
        el("button", { type: "button", class: "cnb-quiet", "aria-label": `remove ${operand.text.slice(0, 80)}`, onclick: () => remove(i) }, "×"),
      ),
    );
    box.replaceChildren(...chips, adding());
  }
  function adding() {
    if (kind === "datetime") {
      let made = null;
      const input = dateInput(place, null, (operand) => (made = operand), "value");
      return el("span", { class: "cnb-row" }, input, el("button", { type: "button", onclick: () => made && add(made) }, "Add"));
    }
    const input = combobox({
      label: row.operands.length ? "another value" : "value",
      placeholder: row.operands.length ? "add another" : kind === "number" ? "number" : "value",
      load: (text) =>
        kind === "bool" ? Promise.resolve({ items: BOOLS }) : place.suggests ? place.values(text, kind) : Promise.resolve({ items: [] }),
      picked: (item) => add(item.operand),
      entered: (text) => text !== "" && add({ kind, text }),
      attributes: { "data-part": "value", class: "cnb-builder-adding" },
    });
    input.addEventListener("keydown", (event) => {
      if (event.key === "Backspace" && input.value === "" && row.operands.length) remove(row.operands.length - 1);
    });
    return input;
  }
  draw();
  return box;
}

const BOOLS = ["true", "false"].map((text) => ({ label: text, operand: { kind: "bool", text } }));

/** Return how a field's numbers lie on a slider, or null for a field without a range that a page's numbers can hold. */
function scaleOf(field) {
  if (field.least?.kind !== "number" || field.greatest?.kind !== "number") return null;
  const [least, greatest] = [Number(field.least.text), Number(field.greatest.text)];
  if (!(least < greatest) || Math.max(-least, greatest) > LARGEST) return null;
  const steps = field.whole && greatest - least <= 1000 ? greatest - least : 1000;
  const digits = field.whole ? 0 : Math.min(Math.max(Math.ceil(-Math.log10((greatest - least) / steps)), 0), 20);
  const text = (step) => {
    if (step === 0) return field.least.text;
    if (step === steps) return field.greatest.text;
    return (least + ((greatest - least) * step) / steps).toFixed(digits);
  };
  const step = (value) => Math.round((steps * (Math.min(Math.max(value, least), greatest) - least)) / (greatest - least));
  return { steps, text, step };
}

/** Return one or two thumbs on a track; `moved(i, text)` hears where thumb i was put. */
function sliders(scale, operands, labels, moved) {
  const two = labels.length === 2;
  const thumbs = labels.map((label, i) =>
    el("input", {
      type: "range",
      min: "0",
      max: String(scale.steps),
      step: "1",
      "aria-label": label,
      oninput: () => {
        if (two)
          thumbs[i].value = String(
            i ? Math.max(Number(thumbs[1].value), Number(thumbs[0].value)) : Math.min(Number(thumbs[0].value), Number(thumbs[1].value)),
          );
        paint();
        tell(i);
      },
    }),
  );
  const tell = settled((i) => moved(i, scale.text(Number(thumbs[i].value))), 30);
  const track = el("span", { class: "cnb-builder-slider" }, thumbs);
  function paint() {
    const share = (thumb) => `${(100 * Number(thumb.value)) / scale.steps}%`;
    track.style.setProperty("--from", two ? share(thumbs[0]) : "0%");
    track.style.setProperty("--to", share(thumbs[thumbs.length - 1]));
    thumbs.forEach((thumb) => thumb.setAttribute("aria-valuetext", scale.text(Number(thumb.value))));
  }
  track.show = (texts) => {
    texts.forEach((text, i) => {
      const value = text === "" || text === undefined ? NaN : Number(text);
      thumbs[i].value = String(Number.isFinite(value) ? scale.step(value) : i === thumbs.length - 1 && two ? scale.steps : 0);
    });
    paint();
  };
  track.show(labels.map((_, i) => operands[i]?.text ?? ""));
  return track;
}
