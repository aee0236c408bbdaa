import { el } from "./common.js";

// What records are compared with: nothing, texts, a vector, or other records.

const [INPUT, CHOSEN] = ["[data-part=query]", "[aria-checked=true]"];
const WAYS = { nothing: "Filter only", text: "By text", vector: "By vector", like: "Like records" };

/** Show the way of searching in `box`; `question()` is changed in place, `typed()` and `built()` tell of it. */
export function searchEditor(box, { question, typed, built }) {
  function draw(focus) {
    const { by } = question();
    const ways = el("div", { class: "cnb-builder-ways", role: "radiogroup", "aria-label": "search" });
    Object.entries(WAYS).forEach(([way, label]) => {
      const radio = el(
        "button",
        {
          type: "button",
          role: "radio",
          "aria-checked": String(way === by),
          tabindex: way === by ? "0" : "-1",
          onclick: () => choose(way),
          onkeydown: keyed,
        },
        label,
      );
      ways.append(radio);
    });
    const inputs = { nothing: () => [], text: textInputs, vector: vectorInput, like: idTags }[by]();
    box.replaceChildren(ways, el("div", { class: "cnb-builder-asked" }, inputs));
    for (const each of focus ?? []) {
      const found = box.querySelector(each);
      if (found) return found.focus();
    }
    return undefined;
  }

  function choose(way) {
    question().by = way;
    if (way === "text" && !question().texts.length) question().texts = [""];
    draw([INPUT, CHOSEN]);
    built();
  }

  function keyed(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const ways = Object.keys(WAYS);
    question().by = ways[(ways.indexOf(question().by) + step + ways.length) % ways.length];
    if (question().by === "text" && !question().texts.length) question().texts = [""];
    draw([CHOSEN]);
    built();
  }

  function textInputs() {
    const lines = question().texts.map((text, i) => {
      const area = el("textarea", {
        rows: Math.min(Math.max(text.split("\n").length, 1), 6),
        "aria-label": "query text",
        placeholder: "What are you looking for?",
        dir: "auto",
        "data-part": "query",
        oninput: () => {
          question().texts[i] = area.value;
          typed();
        },
      });
      area.value = text;
      const remove =
        question().texts.length > 1 &&
        el(
          "button",
          { type: "button", class: "cnb-quiet", "aria-label": "remove text", onclick: () => (question().texts.splice(i, 1), draw(), built()) },
          "×",
        );
      return el("div", { class: "cnb-builder-text" }, area, remove);
    });
    const another = el(
      "button",
      {
        type: "button",
        class: "cnb-quiet",
        title: "Each text is a query of its own",
        onclick: () => (question().texts.push(""), draw([".cnb-builder-text:last-child textarea"]), built()),
      },
      "+ Text",
    );
    lines[lines.length - 1]?.append(another);
    return lines;
  }

  function vectorInput() {
    const { kept, vector } = question();
    if (kept && !vector) {
      const [rows, width] = kept;
      const said = `${rows === 1 ? "A vector" : `${rows.toLocaleString("en")} vectors`} of ${width.toLocaleString("en")} numbers, set from Python`;
      return el(
        "div",
        { class: "cnb-row" },
        el("span", { class: "cnb-muted" }, said),
        el(
          "button",
          { type: "button", class: "cnb-quiet", "data-part": "query", onclick: () => ((question().kept = null), draw([INPUT]), built()) },
          "Replace",
        ),
      );
    }
    const area = el("textarea", {
      rows: 2,
      class: "cnb-builder-vector",
      "aria-label": "query vector",
      placeholder: "[0.12, -0.5, …] as JSON, or set builder.query_embeddings in a cell",
      spellcheck: "false",
      "data-part": "query",
      oninput: () => {
        question().vector = area.value;
        typed();
      },
    });
    area.value = vector;
    return area;
  }

  function idTags() {
    const tags = el("div", { class: "cnb-builder-tags" });
    const { like } = question();
    const changed = () => {
      draw([INPUT]);
      built();
    };
    const add = () => {
      if (input.value === "" || like.includes(input.value)) return;
      like.push(input.value);
      changed();
    };
    const input = el("input", {
      type: "text",
      class: "cnb-builder-adding",
      "aria-label": "id of a record",
      placeholder: like.length ? "add another id" : "id of a record",
      autocomplete: "off",
      spellcheck: "false",
      dir: "auto",
      "data-part": "query",
      onblur: () => setTimeout(() => input.isConnected && add(), 0),
      onkeydown: (event) => {
        if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) {
          event.preventDefault();
          add();
        } else if (event.key === "Backspace" && input.value === "" && like.length) {
          like.pop();
          changed();
        }
      },
    });
    const chips = like.map((id, i) =>
      el(
        "span",
        { class: "cnb-builder-tag" },
        el("span", { class: "cnb-text" }, id.slice(0, 80)),
        el(
          "button",
          { type: "button", class: "cnb-quiet", "aria-label": `remove ${id.slice(0, 80)}`, onclick: () => (like.splice(i, 1), changed()) },
          "×",
        ),
      ),
    );
    tags.append(...chips, input);
    return tags;
  }

  return { draw };
}
