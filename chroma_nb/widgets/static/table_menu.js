// The menu in which columns are hidden and shown.

import { el, icon } from "./common.js";

const COLUMNS = "M2.5 3.5h11v9h-11zM6.2 3.5v9M9.8 3.5v9";
const MANY = 12;

/** Return a button with a menu of `columns()`; `hidden` is the set of their keys that it changes, telling `changed`. */
export function columnMenu(columns, hidden, changed) {
  const button = el(
    "button",
    {
      type: "button",
      class: "cnb-quiet",
      "aria-expanded": "false",
      "aria-haspopup": "true",
      title: "Show and hide columns",
      onclick: () => (panel.hidden ? open() : close()),
    },
    icon(COLUMNS),
    el("span", { class: "cnb-table-word" }, "Columns"),
  );
  const panel = el("div", { class: "cnb-table-menu", role: "group", "aria-label": "Columns" });
  panel.hidden = true;
  const root = el(
    "div",
    {
      class: "cnb-table-menu-place",
      onkeydown: (event) => event.key === "Escape" && !panel.hidden && (close(), button.focus(), event.stopPropagation()),
    },
    button,
    panel,
  );
  const outside = (event) => event.composedPath().includes(root) || close();

  function open() {
    const choices = columns().map(choice);
    const all = el("button", { type: "button", class: "cnb-quiet", onclick: showAll }, "Show all");
    const find = el("input", {
      type: "search",
      placeholder: "Find a column",
      "aria-label": "Find a column",
      oninput: (event) => narrow(choices, event.target.value),
    });
    panel.replaceChildren(...(choices.length > MANY ? [find] : []), el("div", { class: "cnb-table-choices" }, choices), all);
    panel.hidden = false;
    button.setAttribute("aria-expanded", "true");
    document.addEventListener("pointerdown", outside, true);
    panel.querySelector("input").focus();
  }

  function close() {
    panel.hidden = true;
    button.setAttribute("aria-expanded", "false");
    document.removeEventListener("pointerdown", outside, true);
  }

  function choice({ key, label }, place) {
    const toggle = (event) => {
      hidden[event.target.checked ? "delete" : "add"](key);
      changed();
    };
    // The ids stay: a row without one could not be told from another.
    return el(
      "label",
      {},
      el("input", { type: "checkbox", checked: !hidden.has(key), disabled: place === 0, onchange: toggle }),
      el("span", { dir: "auto" }, label),
    );
  }

  function showAll() {
    hidden.clear();
    panel.querySelectorAll("input[type=checkbox]").forEach((box) => (box.checked = true));
    changed();
  }

  return { element: root, close };
}

function narrow(choices, wanted) {
  for (const choice of choices) choice.hidden = !choice.textContent.toLowerCase().includes(wanted.trim().toLowerCase());
}
