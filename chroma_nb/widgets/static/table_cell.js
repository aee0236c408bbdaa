// What one cell looks like, in the table and in the detail panel: chroma_nb/widgets/cells.py says what it is.

import { copied, el, icon } from "./common.js";

const CHECK = "M3 8.5l3.2 3.2L13 4.8";
const CROSS = "M4.5 4.5l7 7M11.5 4.5l-7 7";
const COPY = "M5.5 5.5h7v8h-7zM3.5 10.5v-8h7";
const BRIEF = 16;
const DONE_MS = 1200;

/** Return what stands in a cell: an element or a text. */
export function cellContent(cell) {
  if (cell === null) return el("span", { class: "cnb-cell-none", title: "no value" }, "–");
  if (cell === true || cell === false)
    return el(
      "span",
      { class: cell ? "cnb-cell-true" : "cnb-cell-none", role: "img", "aria-label": String(cell), title: String(cell) },
      icon(cell ? CHECK : CROSS),
    );
  if (cell === "") return el("span", { class: "cnb-cell-none" }, "empty");
  if (typeof cell === "string") return cell;
  if (cell.list) return chips(cell);
  return cell.share === undefined ? cell.text : [el("span", {}, cell.text), bar(cell.share)];
}

/** Return the text of a cell, as far as it came here, for its tooltip; undefined where the cell itself says it all. */
export function cellTitle(cell) {
  if (cell === null || typeof cell === "boolean") return undefined;
  if (typeof cell === "string") return cell.length > BRIEF ? cell : undefined;
  return cell.list ? cell.list.join(", ") + (cell.more ? `, ${cell.more} more` : "") : cell.full;
}

/** Return a bar for a distance, from 0 (the nearest shown) to 1 (the farthest). */
export function bar(share) {
  return el("span", { class: "cnb-cell-bar", "aria-hidden": "true" }, el("span", { style: `width:${Math.round(8 + 92 * share)}%` }));
}

/** Return a button that copies what `text()` promises, unless that is undefined; its icon says when it is done. */
export function copyButton(label, text, attributes = {}) {
  const copy = async (event) => {
    event.stopPropagation();
    const whole = await text(button);
    if (whole === undefined) return;
    await copied(whole);
    button.replaceChildren(icon(CHECK));
    setTimeout(() => button.replaceChildren(icon(COPY)), DONE_MS);
  };
  const button = el("button", { type: "button", title: label, "aria-label": label, ...attributes, onclick: copy }, icon(COPY));
  return button;
}

function chips({ list, more }) {
  if (!list.length) return el("span", { class: "cnb-cell-none" }, "empty list");
  return el(
    "span",
    { class: "cnb-cell-chips" },
    list.map((item) => el("span", { class: "cnb-cell-chip", dir: "auto" }, item)),
    more ? el("span", { class: "cnb-cell-none" }, `+${more.toLocaleString("en-US")}`) : null,
  );
}
