// The parts of the panel for one record: pure display, `calls` do the rest.

import { el } from "./common.js";
import { bar, cellContent, cellTitle, copyButton } from "./table_cell.js";

/** Return the line with the id, where it ranks, and how to copy it. */
export function heading({ id, place }, copy) {
  return el(
    "div",
    { class: "cnb-detail-head" },
    el("div", { class: "cnb-detail-id cnb-text", dir: "auto" }, id),
    copyButton("Copy the id", () => copy({ what: "id" }), { class: "cnb-quiet cnb-detail-copy" }),
    place ? el("span", { class: "cnb-muted cnb-detail-place" }, place) : null,
  );
}

/** Return the text of the record, of which only the beginning is here if it is long; `whole()` promises the rest. */
export function text({ document, length }, whole, copy) {
  if (document === null) return el("p", { class: "cnb-muted" }, "No document");
  const body = el(
    "div",
    { class: "cnb-detail-text cnb-text", dir: "auto", tabindex: "0" },
    document || el("span", { class: "cnb-muted" }, "The document is empty"),
  );
  const cut = length > [...document].length;
  if (cut) body.append("…");
  const more = el(
    "button",
    { type: "button", class: "cnb-quiet cnb-detail-more", onclick: () => expand() },
    `Show all ${length.toLocaleString("en-US")} characters`,
  );
  const expand = async () => {
    more.disabled = true;
    const all = await whole();
    more.disabled = false;
    if (all === undefined) return;
    body.replaceChildren(el("span", {}, all));
    more.remove();
  };
  const element = el(
    "div",
    { class: "cnb-detail-document" },
    body,
    copyButton("Copy the document", () => copy({ what: "document" }), { class: "cnb-detail-copy" }),
    cut ? more : null,
  );
  return { element, body, expand: cut ? expand : undefined };
}

/** Return the metadata as a table of keys and values; a click on a value filters by it. */
export function metadata({ metadata: pairs, uri }, filters, filter, copy) {
  if (!pairs.length && uri === null) return null;
  const rows = pairs.map(([key, cell], place) => {
    const clickable = filters && cell !== null && !cell.list;
    const shown = cellContent(cell);
    const value = clickable
      ? el(
          "button",
          { type: "button", class: "cnb-detail-value cnb-text", dir: "auto", title: "Filter by this value", onclick: () => filter(place) },
          shown,
        )
      : el("div", { class: "cnb-detail-value cnb-text", dir: "auto", title: cellTitle(cell) }, shown);
    return line(key, value, cell === null ? null : copyButton("Copy the value", () => copy({ what: "value", place }), { class: "cnb-detail-copy" }));
  });
  const address =
    uri === null
      ? []
      : line(
          "uri",
          el("div", { class: "cnb-detail-value cnb-text", dir: "ltr" }, uri),
          copyButton("Copy the uri", () => copy({ what: "uri" }), { class: "cnb-detail-copy" }),
        );
  return section("Metadata", el("table", { class: "cnb-detail-table" }, el("tbody", {}, rows, address)));
}

/** Return the records nearest to this one, each a button that opens it. */
export function neighbours(list, open) {
  if (!list.length) return null;
  const items = list.map(({ id, rank, distance, share, snippet }, place) =>
    el(
      "li",
      {},
      el(
        "button",
        { type: "button", class: "cnb-detail-near", title: "Open this record", onclick: () => open(place) },
        el("span", { class: "cnb-detail-rank cnb-muted" }, rank),
        el(
          "span",
          { class: "cnb-detail-what" },
          el("span", { class: "cnb-detail-name", dir: "auto" }, id),
          snippet ? el("span", { class: "cnb-detail-snippet cnb-muted", dir: "auto" }, snippet) : null,
        ),
        el("span", { class: "cnb-detail-far" }, el("span", {}, distance), share === null ? null : bar(share)),
      ),
    ),
  );
  return section("Neighbours", el("ol", { class: "cnb-detail-list" }, items));
}

function line(key, value, copy) {
  return el("tr", {}, el("th", { scope: "row", dir: "auto" }, el("div", { class: "cnb-text", title: key }, key)), el("td", {}, value, copy));
}

function section(title, body) {
  return el("section", { "aria-label": title }, el("h4", {}, title), body);
}
