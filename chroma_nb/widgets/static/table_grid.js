// Header and rows, the cursor in them, and what mouse and keys do there.

import { copied, el, icon } from "./common.js";
import { cellContent, cellTitle, copyButton } from "./table_cell.js";
import { Widths, edge, widened } from "./table_widths.js";

const UP = "M8 12V4M4.5 7.5L8 4l3.5 3.5";
const DOWN = "M8 4v8M4.5 8.5L8 12l3.5-3.5";
const MARKS = 36;

/** The grid. `calls`: sort(key), select(rows, mode), open(row), action(name, row), cell(row, column) -> text, turn(pages, place). */
export class Grid {
  #calls;
  #data = { columns: [], rows: [], actions: [], number: 0, size: 1, count: 0, sort: null };
  #columns = [];
  #hidden;
  #widths = new Widths();
  #cursor = { row: 0, column: 0 };
  #anchor = 0;
  #table = el("table", { role: "grid", "aria-multiselectable": "true" });
  #body = el("tbody", {
    onclick: (event) => this.#clicked(event),
    onmousedown: (event) => event.shiftKey && event.preventDefault(),
    onkeydown: (event) => this.#pressed(event),
    onmouseover: (event) => this.#offerCopy(event.target.closest("td[data-place]")),
    onmouseleave: () => this.#copy.remove(),
    onfocusin: (event) => this.#focused(event),
  });
  #copy = copyButton("Copy the whole value", (button) => this.#textOf(button.closest("td")), { class: "cnb-table-copy", tabindex: "-1" });
  #all = el("input", { type: "checkbox", "aria-label": "Select the rows of this page", onchange: () => this.#selectAll() });
  #columnGroup = el("colgroup");

  constructor(hidden, calls) {
    this.#hidden = hidden;
    this.#calls = calls;
    this.#table.addEventListener("focusout", () => this.#table.classList.toggle("cnb-table-keys", false));
  }

  get element() {
    return this.#table;
  }

  /** Show a page of rows; `place` is the row that gets the cursor, from the end if it is negative. */
  show(data, place = undefined) {
    const focused = this.#table.getRootNode().activeElement;
    const hadFocus = this.#body.contains(focused);
    const header = this.#table.contains(focused) ? focused.closest("th")?.dataset.key : undefined;
    this.#data = data;
    this.#widths.see(data.columns, data.rows);
    this.#columns = data.columns.map((column, at) => ({ ...column, at })).filter((column) => !this.#hidden.has(column.key));
    const row = place === undefined ? Math.min(this.#cursor.row, data.rows.length - 1) : place < 0 ? data.rows.length + place : place;
    this.#cursor = { row: Math.max(row, 0), column: Math.min(this.#cursor.column, Math.max(this.#columns.length - 1, 0)) };
    this.#anchor = this.#cursor.row;
    this.#table.setAttribute("aria-rowcount", data.count + 1);
    this.#table.replaceChildren(this.#columnGroup, el("thead", {}, this.#header()), this.#body);
    this.#body.replaceChildren(...data.rows.map((each, at) => this.#row(each, at)));
    this.#layOut();
    this.#marked();
    this.#moveCursor(this.#cursor, { focus: hadFocus });
    if (header !== undefined) this.#table.querySelector(`th[data-key="${header}"] button`)?.focus();
    else if (focused === this.#all) this.#all.focus();
  }

  /** Show which rows are selected. */
  mark(marks) {
    marks.forEach((marked, at) => (this.#data.rows[at].marked = marked));
    this.#marked();
  }

  #header() {
    const headers = this.#columns.map((column) => {
      const [key, ascending] = this.#data.sort ?? [];
      const order = key !== column.key ? "none" : ascending ? "ascending" : "descending";
      const label = [el("span", { class: "cnb-table-label", dir: "auto" }, column.label), order === "none" ? null : icon(ascending ? UP : DOWN)];
      const button = column.sortable
        ? el(
            "button",
            {
              type: "button",
              class: "cnb-table-sort",
              title: column.label,
              onclick: () => this.#calls.sort(column.key),
              onkeydown: (event) => widened(event, header, column, this.#widths) && (event.preventDefault(), this.#layOut()),
            },
            label,
          )
        : el("span", { class: "cnb-table-sort", title: column.label }, label);
      const header = el(
        "th",
        { scope: "col", class: this.#classes(column), "aria-sort": column.sortable ? order : undefined, "data-key": column.key },
        button,
      );
      header.append(edge(header, column, this.#widths, () => this.#resized()));
      return header;
    });
    return el(
      "tr",
      { "aria-rowindex": 1 },
      el("th", { scope: "col", class: "cnb-table-marks" }, this.#all),
      headers,
      el("th", { class: "cnb-table-rest", "aria-hidden": "true" }),
    );
  }

  #row(row, at) {
    const box = el("input", { type: "checkbox", tabindex: "-1", "aria-label": "Select" });
    const cells = this.#columns.map((column) => {
      const cell = row.cells[column.at];
      return el(
        "td",
        { class: this.#classes(column), "data-place": column.at },
        el("div", { class: "cnb-table-clip", dir: "auto", title: cellTitle(cell) }, cellContent(cell)),
      );
    });
    const buttons = this.#data.actions.map(([name, label]) => el("button", { type: "button", tabindex: "-1", "data-action": name }, label));
    const index = this.#data.number * this.#data.size + at + 2;
    return el(
      "tr",
      { tabindex: "-1", "aria-rowindex": index },
      el("td", { class: "cnb-table-marks" }, box),
      cells,
      el("td", { class: "cnb-table-rest" }, buttons.length ? el("div", { class: "cnb-table-actions" }, buttons) : null),
    );
  }

  #classes(column) {
    return `cnb-table-${column.kind}${column.at === 0 ? " cnb-table-first" : ""}`;
  }

  #resized() {
    this.#widths.see(this.#data.columns, this.#data.rows);
    this.#layOut();
  }

  #layOut() {
    const stretching = this.#widths.stretching(this.#columns);
    const columns = this.#columns.map((column) =>
      el("col", { style: column.key === stretching?.key ? undefined : `width:${this.#widths.of(column)}px` }),
    );
    this.#columnGroup.replaceChildren(el("col", { style: `width:${MARKS}px` }), ...columns, el("col", { style: stretching ? "width:0" : undefined }));
    this.#table.style.width = `max(100%, ${MARKS + this.#widths.sum(this.#columns)}px)`;
    this.#table.style.setProperty("--cnb-table-still", `${MARKS + (this.#columns.length ? this.#widths.of(this.#columns[0]) : 0)}px`);
  }

  #marked() {
    const rows = this.#data.rows;
    rows.forEach((row, at) => {
      const element = this.#body.children[at];
      element.setAttribute("aria-selected", String(row.marked));
      element.querySelector("input").checked = row.marked;
    });
    const marked = rows.filter((row) => row.marked).length;
    this.#all.checked = rows.length > 0 && marked === rows.length;
    this.#all.indeterminate = marked > 0 && marked < rows.length;
    this.#all.disabled = rows.length === 0;
  }

  #moveCursor({ row, column }, { focus = true } = {}) {
    const before = this.#body.children[this.#cursor.row];
    before?.setAttribute("tabindex", "-1");
    before?.querySelectorAll("[data-action]").forEach((button) => button.setAttribute("tabindex", "-1"));
    this.#body.querySelector(".cnb-table-cursor")?.classList.remove("cnb-table-cursor");
    this.#cursor = { row, column };
    const here = this.#body.children[row];
    if (!here) return;
    here.setAttribute("tabindex", "0");
    here.querySelectorAll("[data-action]").forEach((button) => button.setAttribute("tabindex", "0"));
    const cell = here.children[column + 1];
    cell?.classList.add("cnb-table-cursor");
    if (focus) {
      here.focus({ preventScroll: true });
      cell?.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
  }

  #focused(event) {
    const at = this.#indexOf(event.target);
    if (at >= 0 && at !== this.#cursor.row) this.#moveCursor({ row: at, column: this.#cursor.column }, { focus: false });
  }

  #indexOf(element) {
    return [...this.#body.children].indexOf(element.closest("tr"));
  }

  #clicked(event) {
    const at = this.#indexOf(event.target);
    if (at < 0 || this.#copy.contains(event.target)) return;
    const action = event.target.closest("[data-action]");
    if (action) {
      this.#calls.action(action.dataset.action, this.#data.rows[at]);
      return;
    }
    const place = event.target.closest("td")?.dataset.place;
    const column = place === undefined ? this.#cursor.column : this.#columns.findIndex((each) => each.at === Number(place));
    const anchor = this.#anchor;
    this.#moveCursor({ row: at, column });
    const onMark = event.target.closest(".cnb-table-marks");
    if (event.shiftKey) {
      if (event.target.tagName === "INPUT") event.preventDefault();
      this.#selectRange(anchor, at, event.ctrlKey || event.metaKey ? "add" : "replace");
      return;
    }
    this.#anchor = at;
    if (onMark || event.ctrlKey || event.metaKey) this.#toggle(at);
    else if (this.#table.ownerDocument.getSelection().isCollapsed) this.#calls.open(this.#data.rows[at]);
  }

  #pressed(event) {
    if (event.target.closest("button")) return;
    const { row, column } = this.#cursor;
    const last = this.#data.rows.length - 1;
    const to = (target) => (event.shiftKey ? this.#extend(target) : this.#step(target));
    const keys = {
      ArrowDown: () => (row < last || event.shiftKey ? to(Math.min(row + 1, last)) : this.#calls.turn(1, 0)),
      ArrowUp: () => (row > 0 || event.shiftKey ? to(Math.max(row - 1, 0)) : this.#calls.turn(-1, -1)),
      Home: () => to(0),
      End: () => to(last),
      PageDown: () => this.#calls.turn(1, 0),
      PageUp: () => this.#calls.turn(-1, 0),
      ArrowRight: () => this.#moveCursor({ row, column: Math.min(column + 1, this.#columns.length - 1) }),
      ArrowLeft: () => this.#moveCursor({ row, column: Math.max(column - 1, 0) }),
      Enter: () => this.#calls.open(this.#data.rows[row]),
      " ": () => ((this.#anchor = row), this.#toggle(row)),
      Escape: () => this.#calls.select([], "replace"),
    };
    const command = event.ctrlKey || event.metaKey;
    const commands = { a: () => this.#calls.select(this.#data.rows, "add"), c: () => this.#copyCursor() };
    const act = command ? commands[event.key.toLowerCase()] : keys[event.key];
    if (!act || (command && event.key === "c" && !this.#table.ownerDocument.getSelection().isCollapsed)) return;
    event.preventDefault();
    this.#table.classList.add("cnb-table-keys");
    act();
  }

  #step(row) {
    this.#anchor = row;
    this.#moveCursor({ row, column: this.#cursor.column });
  }

  #extend(row) {
    this.#moveCursor({ row, column: this.#cursor.column });
    this.#selectRange(this.#anchor, row, "replace");
  }

  #selectRange(from, to, mode) {
    this.#calls.select(this.#data.rows.slice(Math.min(from, to), Math.max(from, to) + 1), mode);
  }

  #toggle(at) {
    const row = this.#data.rows[at];
    this.#calls.select([row], row.marked ? "remove" : "add");
  }

  #selectAll() {
    this.#calls.select(this.#data.rows, this.#all.checked ? "add" : "remove");
  }

  #offerCopy(cell) {
    if (cell && this.#copy.parentElement !== cell) cell.append(this.#copy);
  }

  #textOf(cell) {
    return this.#calls.cell(this.#data.rows[this.#indexOf(cell)], this.#data.columns[Number(cell.dataset.place)], this.#indexOf(cell));
  }

  async #copyCursor() {
    const { row, column } = this.#cursor;
    const text = await this.#calls.cell(this.#data.rows[row], this.#columns[column], row);
    if (text !== undefined) await copied(text);
  }
}
