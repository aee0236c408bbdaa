// The table: asks the kernel for the page that is looked at, and tells it what is done there.

import { Channel, el, followTheme, icon, keepKeys, newest, shown } from "./common.js";
import { Grid } from "./table_grid.js";
import { columnMenu } from "./table_menu.js";
import { counted, pager } from "./table_pager.js";

const CLOSE = "M4.5 4.5l7 7M11.5 4.5l-7 7";

function render({ model, el: place }) {
  const channel = new Channel(model);
  const latest = newest();
  const latestMarks = newest();
  const hidden = new Set();
  const at = { number: 0, sort: null };
  let data = null;
  let size = 0;

  const title = el("strong", { class: "cnb-table-title", dir: "auto" });
  const detail = el("span", { class: "cnb-muted cnb-table-detail", dir: "auto" });
  const selected = el("button", { type: "button", class: "cnb-table-selected", title: "Clear the selection", onclick: () => select([], "replace") });
  const menu = columnMenu(
    () => data?.columns ?? [],
    hidden,
    () => data && grid.show(data),
  );
  const problem = el("div", { class: "cnb-table-problem cnb-error", role: "alert" });
  const said = el("span", { class: "cnb-hidden", role: "status" });
  const grid = new Grid(hidden, { sort, select, open, action, cell, turn });
  const empty = el("div", { class: "cnb-table-empty cnb-muted" }, "Loading …");
  const scrolled = () => scroll.classList.toggle("cnb-table-scrolled", scroll.scrollLeft > 0);
  const scroll = el("div", { class: "cnb-table-scroll", onscroll: scrolled }, grid.element, empty);
  const foot = pager(
    (number) => load({ number }),
    (size) => tell("resize", { size }),
  );
  const root = el(
    "div",
    { class: "cnb cnb-table" },
    el("div", { class: "cnb-table-head" }, title, detail, el("span", { class: "cnb-table-gap" }), selected, menu.element),
    problem,
    scroll,
    foot.element,
    said,
  );

  function load(change = {}, cursor = undefined) {
    Object.assign(at, change);
    root.setAttribute("aria-busy", "true");
    const drawn = (answer) => {
      data = answer;
      at.number = data.number;
      at.sort = data.sort;
      root.removeAttribute("aria-busy");
      problem.replaceChildren();
      draw(cursor ?? (change.number === undefined ? undefined : 0));
    };
    latest(channel.ask("page", { page: at.number, sort: at.sort }), drawn, failed);
  }

  function draw(cursor) {
    // Pages with fewer or shorter rows must not move what stands below.
    scroll.style.minHeight = data.count > data.size && data.size === size ? `${scroll.offsetHeight}px` : "";
    size = data.size;
    head(data);
    grid.show(data, cursor);
    grid.element.hidden = data.columns.length === 0;
    empty.hidden = data.rows.length > 0;
    empty.textContent = data.columns.length ? "No rows" : "Nothing to show yet";
    if (cursor !== undefined) scroll.scrollTop = 0;
    foot.show(data);
    menu.element.hidden = data.columns.length === 0;
    said.textContent = data.count ? `Page ${counted(data.number + 1)}, ${counted(data.count)} rows` : empty.textContent;
    selection(data.selected);
  }

  function head(text) {
    title.textContent = shown(text.title || (data?.columns.length ? `${counted(data.count)} ${data.count === 1 ? "row" : "rows"}` : ""));
    detail.textContent = shown(text.detail);
  }

  function selection(count) {
    selected.hidden = !count;
    selected.replaceChildren(`${counted(count)} selected`, icon(CLOSE));
  }

  function failed(error) {
    root.removeAttribute("aria-busy");
    problem.replaceChildren(
      el("span", { class: "cnb-text", dir: "auto" }, error.message),
      el("button", { type: "button", onclick: () => load() }, "Try again"),
    );
    if (!data) empty.textContent = "";
  }

  async function tell(kind, content) {
    try {
      return await channel.ask(kind, content);
    } catch (error) {
      failed(error);
    }
  }

  function sort(key) {
    const [current, ascending] = at.sort ?? [];
    load({ sort: current !== key ? [key, true] : ascending ? [key, false] : null, number: 0 });
  }

  function select(rows, mode) {
    const keys = new Set(rows.map((row) => row.key));
    grid.mark(data.rows.map((row) => (keys.has(row.key) ? mode !== "remove" : mode === "replace" ? false : row.marked)));
    tell("select", { rows: [...keys], mode });
  }

  function open(row) {
    tell("open", { row: row.key });
  }

  function action(name, row) {
    tell("action", { name, row: row.key });
  }

  async function cell(row, column, index) {
    const answer = await tell("cell", { row: row.key, column: column.key, page: data.number, place: index, sort: data.sort });
    if (answer) said.textContent = "Copied";
    return answer?.text;
  }

  function turn(pages, cursor) {
    const number = data.number + pages;
    if (number >= 0 && number * data.size < data.count) load({ number }, cursor);
  }

  const height = () => root.style.setProperty("--cnb-table-height", `${model.get("height")}px`);
  model.on("change:height", height);
  height();
  channel.hear("changed", ({ fresh }) => {
    if (fresh) scroll.style.minHeight = "";
    load(fresh ? { number: 0, sort: null } : {});
  });
  channel.hear("titled", (text) => {
    if (data) Object.assign(data, text);
    head(text);
  });
  channel.hear("marked", () => {
    if (!data) return;
    const { rows } = data;
    latestMarks(channel.ask("marks", { rows: rows.map((row) => row.key) }), (answer) => {
      selection(answer.selected);
      if (rows === data.rows) grid.mark(answer.marks);
    });
  });
  keepKeys(root);
  place.append(root);
  const unfollow = followTheme(root);
  selection(0);
  menu.element.hidden = foot.element.hidden = grid.element.hidden = true;
  load();
  return () => {
    unfollow();
    menu.close();
    model.off("change:height", height);
    channel.close();
  };
}

export default { render };
