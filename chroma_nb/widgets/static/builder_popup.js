import { el, newest, shown } from "./common.js";

// What opens over the page and closes again: menus, and lists of suggestions under an input.

let named = 0;

/** A box over everything else, beside `anchor`, until something outside it is pressed, Escape, or `close()`. */
export class Popup {
  #box;
  #closed;
  #anchor;
  #outside = (event) => {
    const path = event.composedPath();
    if (!path.includes(this.#box) && !path.includes(this.#anchor)) this.close();
  };
  #place = () => this.#position();

  open(anchor, content, { closed = () => {}, wide = false } = {}) {
    this.close();
    this.#anchor = anchor;
    this.#closed = closed;
    this.#box = el("div", { class: "cnb-builder-popup" }, content);
    if (wide) this.#box.style.minWidth = `${anchor.getBoundingClientRect().width}px`;
    // In the top layer nothing clips it: outputs of a notebook scroll. Where a page has none, it stands where it is written.
    this.#box.setAttribute("popover", "manual");
    anchor.after(this.#box);
    this.#box.showPopover?.();
    this.#position();
    document.addEventListener("pointerdown", this.#outside, true);
    window.addEventListener("scroll", this.#place, true);
    window.addEventListener("resize", this.#place);
  }

  get isOpen() {
    return this.#box !== undefined;
  }

  close() {
    if (!this.#box) return;
    document.removeEventListener("pointerdown", this.#outside, true);
    window.removeEventListener("scroll", this.#place, true);
    window.removeEventListener("resize", this.#place);
    this.#box.remove();
    this.#box = undefined;
    this.#closed();
  }

  #position() {
    const at = this.#anchor.getBoundingClientRect();
    const size = this.#box.getBoundingClientRect();
    const below = innerHeight - at.bottom >= size.height + 8 || at.top < size.height + 8;
    const left = Math.max(4, Math.min(at.left, innerWidth - size.width - 8));
    this.#box.style.left = `${left}px`;
    this.#box.style.top = `${below ? at.bottom + 4 : at.top - size.height - 4}px`;
  }
}

/** Return a button that opens a menu; `items` returns, or promises, [{ label, note, pick }] when it does. */
export function menuButton(label, items, { empty = "", attributes = {} } = {}) {
  const popup = new Popup();
  const button = el(
    "button",
    {
      type: "button",
      "aria-haspopup": "menu",
      "aria-expanded": "false",
      ...attributes,
      onclick: () => toggle(),
      onkeydown: (event) => event.key === "Escape" && popup.close(),
    },
    label,
  );
  async function toggle() {
    if (popup.isOpen) return popup.close();
    const entries = await items();
    const buttons = entries.map(({ label: text, note, pick }) =>
      el(
        "button",
        { type: "button", class: "cnb-builder-item", role: "menuitem", onclick: () => chosen(pick) },
        el("span", { class: "cnb-text" }, text),
        note && el("span", { class: "cnb-muted" }, note),
      ),
    );
    const box = el(
      "div",
      { role: "menu", "aria-label": button.textContent, onkeydown: (event) => moved(event, buttons) },
      buttons.length ? buttons : el("div", { class: "cnb-builder-nothing" }, empty),
    );
    popup.open(button, box, { closed: () => button.setAttribute("aria-expanded", "false") });
    button.setAttribute("aria-expanded", "true");
    buttons[0]?.focus();
    return undefined;
  }
  function chosen(pick) {
    popup.close();
    button.focus();
    pick();
  }
  function moved(event, buttons) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const at = buttons.indexOf(event.target);
    if (step) buttons[(at + step + buttons.length) % buttons.length]?.focus();
    else if (event.key === "Escape") chosen(() => {});
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
  return button;
}

/**
 * Return an input with suggestions. `load(typed)` promises { items: [{ label, note, ... }], more }; `typed(text)` hears every change by hand,
 * `picked(item)` a choice, `entered(text)` Enter or leaving with a text that was not picked.
 */
export function combobox({ value = "", label, placeholder = "", load, typed = () => {}, picked, entered = () => {}, attributes = {} }) {
  const popup = new Popup();
  const latest = newest();
  const id = `cnb-builder-list-${++named}`;
  let items = [];
  let active = -1;
  let dirty = false;
  const input = el("input", {
    type: "text",
    role: "combobox",
    "aria-label": label,
    "aria-autocomplete": "list",
    "aria-expanded": "false",
    "aria-controls": id,
    autocomplete: "off",
    spellcheck: "false",
    dir: "auto",
    placeholder,
    ...attributes,
    onfocus: () => suggest(""),
    onclick: () => popup.isOpen || suggest(""),
    oninput: () => {
      dirty = true;
      typed(input.value);
      suggest(input.value);
    },
    onkeydown: keyed,
    onblur: () => {
      popup.close();
      if (dirty) finish();
    },
  });
  input.value = value;

  function finish() {
    dirty = false;
    entered(input.value);
  }

  function suggest(text) {
    latest(load(text), ({ items: found, more = 0 }) => {
      if (input.getRootNode().activeElement !== input) return;
      items = found;
      active = -1;
      if (!found.length) return popup.close();
      popup.open(input, list(more), { wide: true, closed: () => input.setAttribute("aria-expanded", "false") });
      input.setAttribute("aria-expanded", "true");
      return undefined;
    });
  }

  function list(more) {
    const options = items.map((item, i) =>
      el(
        "div",
        {
          id: `${id}-${i}`,
          class: "cnb-builder-item",
          role: "option",
          "aria-selected": "false",
          // Before the input loses the focus, and with it the list.
          onpointerdown: (event) => {
            event.preventDefault();
            choose(i);
          },
        },
        el("span", { class: "cnb-text" }, shown(item.label, 200)),
        item.note !== undefined && el("span", { class: "cnb-muted" }, item.note),
      ),
    );
    const rest = more > 0 && el("div", { class: "cnb-builder-nothing" }, `${more.toLocaleString("en")} more; type to narrow them down`);
    return el("div", { id, role: "listbox", "aria-label": label }, options, rest);
  }

  function choose(i) {
    const item = items[i];
    dirty = false;
    popup.close();
    latest(Promise.resolve({ items: [] }), () => {});
    picked(item, input);
  }

  function mark(next) {
    const options = popup.isOpen ? [...input.nextElementSibling.querySelectorAll("[role=option]")] : [];
    if (!options.length) return;
    active = (next + options.length) % options.length;
    options.forEach((option, i) => option.setAttribute("aria-selected", String(i === active)));
    options[active].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", options[active].id);
  }

  function keyed(event) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (!popup.isOpen) suggest(dirty ? input.value : "");
      else mark(event.key === "ArrowDown" ? active + 1 : Math.max(active, 0) - 1);
      event.preventDefault();
    } else if (event.key === "Escape" && popup.isOpen) {
      popup.close();
      event.stopPropagation();
    } else if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) {
      if (popup.isOpen && active >= 0) choose(active);
      else {
        popup.close();
        finish();
      }
      event.preventDefault();
    }
  }

  return input;
}
