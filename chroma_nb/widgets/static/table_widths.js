// How wide the columns are: by what they hold when they are first seen, then as the user drags them.

import { cellTitle } from "./table_cell.js";
import { el } from "./common.js";

/** Kind -> least and greatest width in pixels. */
const WIDTHS = {
  id: [84, 200],
  document: [260, 420],
  text: [84, 240],
  number: [76, 170],
  bool: [64, 140],
  date: [104, 170],
  list: [110, 240],
  distance: [132, 176],
};
const LEAST = 48;
const STEP = 16;
const CHARACTER = 8;
const ROOM = 22;
/** What the bar of a distance takes, in characters. */
const BAR = 6;
/** Least width of the column that stretches, so that more of the others are seen where it is narrow. */
const STRETCHING = 320;

/** Keeps a width for every column, by its key, across pages and orders. */
export class Widths {
  #kept = new Map();

  /** Take widths for columns that have none yet; one column of texts, if there is one, takes what room is left. */
  see(columns, rows) {
    columns.forEach((column, place) => {
      if (this.#kept.has(column.key)) return;
      const longest = Math.max(0, ...rows.map((row) => shownLength(row.cells[place])));
      const [least, greatest] = WIDTHS[column.label === "document" ? "document" : column.kind];
      const wanted = Math.max(longest * CHARACTER, column.label.length * CHARACTER + 10) + ROOM;
      this.#kept.set(column.key, { width: Math.round(Math.min(Math.max(wanted, least), greatest)), dragged: false });
    });
  }

  of(column) {
    return this.#kept.get(column.key).width;
  }

  /** Return the least width of a table of these columns. */
  sum(columns) {
    const stretching = this.stretching(columns);
    return columns.reduce((sum, column) => sum + (column === stretching ? Math.min(this.of(column), STRETCHING) : this.of(column)), 0);
  }

  /** Return the column that stretches, if any. */
  stretching(columns) {
    const free = columns.filter((column) => column.kind === "text" && !this.#kept.get(column.key).dragged);
    return free.find((column) => column.label === "document") ?? free.at(-1);
  }

  set(column, width) {
    this.#kept.set(column.key, { width: Math.max(LEAST, Math.round(width)), dragged: true });
  }

  forget(column) {
    this.#kept.delete(column.key);
  }
}

/** Return the edge of a header that is dragged; a double click lets the content decide again. */
export function edge(header, column, widths, changed) {
  const start = (event) => {
    event.preventDefault();
    event.stopPropagation();
    const [from, width] = [event.clientX, header.offsetWidth];
    const handle = event.currentTarget;
    handle.setPointerCapture(event.pointerId);
    const move = (moved) => (widths.set(column, width + moved.clientX - from), changed());
    handle.addEventListener("pointermove", move);
    handle.addEventListener("lostpointercapture", () => handle.removeEventListener("pointermove", move), { once: true });
  };
  return el("span", {
    class: "cnb-table-edge",
    onpointerdown: start,
    onclick: (event) => event.stopPropagation(),
    ondblclick: () => (widths.forget(column), changed()),
  });
}

/** Widen or narrow a column by Alt and an arrow; returns whether the key was that. */
export function widened(event, header, column, widths) {
  if (!event.altKey || (event.key !== "ArrowLeft" && event.key !== "ArrowRight")) return false;
  widths.set(column, header.offsetWidth + (event.key === "ArrowRight" ? STEP : -STEP));
  return true;
}

function shownLength(cell) {
  if (cell === null || typeof cell === "boolean") return 1;
  if (cell.list) return cell.list.reduce((length, item) => length + item.length + 3, 0);
  return (cell.text ?? cell).length + (cell.share === undefined ? 0 : BAR);
}
