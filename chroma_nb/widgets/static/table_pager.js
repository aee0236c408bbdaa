// The line under the table: which rows these are, and the way to others.

import { el, icon } from "./common.js";

const FIRST = "M11.5 3.5L7 8l4.5 4.5M4.5 3.5v9";
const PREVIOUS = "M10 3.5L5.5 8l4.5 4.5";
const NEXT = "M6 3.5L10.5 8L6 12.5";
const LAST = "M4.5 3.5L9 8l-4.5 4.5M11.5 3.5v9";
const SIZES = [10, 20, 50, 100];

export const counted = (number) => number.toLocaleString("en-US");

/** Return the pager: `show({count, number, size})` sets it, `go(number)` and `resize(size)` are called by it. */
export function pager(go, resize) {
  let last = 0;
  let at = 0;
  const step = (label, path, target) =>
    el("button", { type: "button", class: "cnb-quiet", title: label, "aria-label": label, onclick: () => go(target()) }, icon(path));
  const back = [step("First page", FIRST, () => 0), step("Previous page", PREVIOUS, () => at - 1)];
  const on = [step("Next page", NEXT, () => at + 1), step("Last page", LAST, () => last)];
  const box = el("input", {
    type: "number",
    min: 1,
    step: 1,
    "aria-label": "Page",
    class: "cnb-table-page",
    onchange: jump,
    onkeydown: (event) => event.key === "Enter" && jump(),
  });
  const total = el("span", { class: "cnb-muted" });
  const range = el("span", { class: "cnb-table-range" });
  const sizes = el("select", { "aria-label": "Rows per page", onchange: () => resize(Number(sizes.value)) });
  const element = el(
    "div",
    { class: "cnb-table-foot" },
    range,
    el("span", { class: "cnb-table-gap" }),
    sizes,
    el("nav", { class: "cnb-table-nav", "aria-label": "Pages" }, back, box, total, on),
  );

  function jump() {
    const wanted = Math.round(Number(box.value)) - 1;
    const target = Number.isFinite(wanted) ? Math.min(Math.max(wanted, 0), last) : at;
    box.value = target + 1;
    if (target !== at) go(target);
  }

  function show({ count, number, size }) {
    at = number;
    last = Math.max(Math.ceil(count / size) - 1, 0);
    const first = number * size;
    range.textContent = count ? `${counted(first + 1)}–${counted(Math.min(first + size, count))} of ${counted(count)}` : "";
    box.value = at + 1;
    box.max = last + 1;
    total.textContent = `of ${counted(last + 1)}`;
    for (const button of back) button.disabled = at === 0;
    for (const button of on) button.disabled = at === last;
    element.hidden = count <= Math.min(SIZES[0], size);
    const offered = [...new Set([...SIZES, size])].sort((a, b) => a - b);
    sizes.replaceChildren(...offered.map((each) => el("option", { value: each, selected: each === size }, `${each} per page`)));
  }

  return { element, show };
}
