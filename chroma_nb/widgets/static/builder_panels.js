import { copied, el, shown } from "./common.js";

// What opens below the rows: a place to paste a filter, the question as code, and why nothing matches.

/** Return a number as people read it. */
export const number = (value) => value.toLocaleString("en");

/** Return a panel in which a filter is pasted; `load(text)` promises to take it over, or fails with what is wrong with it. */
export function pastePanel(load, closed) {
  const area = el("textarea", {
    rows: 5,
    "aria-label": "where dict",
    spellcheck: "false",
    placeholder: '{"$and": [{"year": {"$gte": 2000}}, {"topic": "art"}]}',
  });
  const error = el("div", { class: "cnb-error cnb-text", role: "alert" });
  const buttons = el(
    "div",
    { class: "cnb-row" },
    el("button", { type: "button", class: "cnb-main", onclick: () => take() }, "Load"),
    el("button", { type: "button", class: "cnb-quiet", onclick: () => close() }, "Cancel"),
    el("span", { class: "cnb-muted" }, "A filter as a Python or JSON dict replaces the conditions."),
  );
  const element = el("div", { class: "cnb-builder-paste" }, area, error, buttons);
  element.hidden = true;

  function open() {
    element.hidden = false;
    area.focus();
  }

  function close() {
    element.hidden = true;
    error.textContent = "";
    closed();
  }

  async function take() {
    try {
      await load(area.value);
      area.value = "";
      close();
    } catch (fault) {
      error.textContent = shown(fault.message, 1000);
    }
  }

  return { element, open, close, take };
}

/** Return a panel that shows code and puts it on the clipboard; `closed()` hears that it was closed. */
export function codePanel(closed) {
  const element = el("div", { class: "cnb-builder-code" });

  async function show(text, label) {
    const said = el("span", { class: "cnb-muted", role: "status" });
    const copy = async () => {
      await copied(text);
      said.textContent = "Copied";
    };
    const close = () => {
      element.replaceChildren();
      closed();
    };
    const block = el("pre", { tabindex: "0", "aria-label": label });
    // As it is: code has no marks that reorder or hide it, they are written as escapes.
    block.textContent = text;
    const again = el("button", { type: "button", class: "cnb-quiet", onclick: copy }, "Copy again");
    const end = el("button", { type: "button", class: "cnb-quiet", "aria-label": "close", onclick: close }, "×");
    element.replaceChildren(el("div", { class: "cnb-builder-codehead" }, el("b", {}, label), said, again, end), block);
    element.classList.remove("cnb-builder-old");
    await copy();
  }

  function fail(message) {
    element.replaceChildren(el("div", { class: "cnb-builder-note cnb-error cnb-text" }, shown(message, 1000)));
    element.classList.remove("cnb-builder-old");
  }

  return { element, show, fail, outdated: () => element.classList.add("cnb-builder-old") };
}

/** Return what to say when nothing matches: which condition to leave out, and what each finds by itself. */
export function whyNothing(blame, remove) {
  const [worst] = blame;
  if (!worst) return [];
  const words = () => el("b", { class: "cnb-text" }, worst.words);
  if (blame.length === 1) return [el("div", {}, "No record meets ", words(), ".")];
  const drop = el("button", { type: "button", onclick: () => remove(worst.id) }, "Remove it");
  const headline =
    worst.without > 0
      ? el("div", { class: "cnb-row" }, el("span", {}, "Without ", words(), `, ${number(worst.without)} would match.`), drop)
      : el("div", {}, "No single condition is to blame; leave out two or more.");
  const lines = blame.map((each) =>
    el("tr", {}, el("td", { class: "cnb-text" }, each.words), el("td", {}, number(each.alone)), el("td", {}, number(each.without))),
  );
  const heads = el(
    "tr",
    {},
    ["condition", "alone", "all but it"].map((text) => el("th", { scope: "col" }, text)),
  );
  return [headline, el("table", {}, el("thead", {}, heads), el("tbody", {}, lines))];
}
