import { el, icon, shown } from "./common.js";
import { combobox } from "./builder_popup.js";
import { fitted, kindsOf, valueInputs } from "./builder_values.js";

// The rows of the filter: conditions, and groups of them.

const COPY = "M5.5 5.5h7v7h-7zM3.5 10.5v-7h7";
const REMOVE = "M4 4l8 8M12 4l-8 8";
const GRIP = "M6 4h.01M10 4h.01M6 8h.01M10 8h.01M6 12h.01M10 12h.01";
const JUNCTIONS = { $and: "and", $or: "or" };
const DOCUMENT = "#document";
const BETWEEN = "between";

let made = 0;

function ownId() {
  return `n${++made}-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`;
}

function copyOf(part) {
  const copy = structuredClone(part);
  const rename = (each) => {
    each.id = ownId();
    each.parts?.forEach(rename);
  };
  rename(copy);
  return copy;
}

/**
 * Show the rows in `box`. `view` has the tables (fields, unknown, operators), `rows()`, the root group, which is changed in place,
 * `values(key, typed, kind)`, `typed()` to call after a value was edited and `built()` after rows came, went or moved.
 */
export function rowsEditor(box, view) {
  let reading = { problems: {}, unfinished: [] };
  let dragged = null;

  const fieldOf = (key) => view.fields.find((field) => field.key === key) ?? { ...view.unknown, key };
  const operatorOf = (token) => view.operators.find((operator) => operator.token === token) ?? view.operators[0];

  function draw(focus) {
    box.replaceChildren(groupBox(view.rows(), null));
    mark();
    if (focus) box.querySelector(`[data-id="${CSS.escape(focus.id)}"] [data-part="${focus.part}"]`)?.focus();
  }

  function built(focus) {
    draw(focus);
    view.built();
  }

  function groupBox(group, parent) {
    const parts = group.parts.map((part, i) => line(part, i, group));
    const quiet = (text, call) => el("button", { type: "button", class: "cnb-quiet", onclick: call }, text);
    const adding = el(
      "div",
      { class: "cnb-builder-add" },
      quiet("+ Condition", () => add(group)),
      quiet("+ Group", () => addGroup(group)),
    );
    adding.firstChild.dataset.part = "add";
    const empty =
      !group.parts.length &&
      el("div", { class: "cnb-builder-empty cnb-muted" }, parent ? "Empty group: says nothing." : "No conditions: every record matches.");
    const made = el(
      "div",
      { class: "cnb-builder-group", role: "group", "aria-label": parent ? "group of conditions" : "conditions", "data-id": group.id },
      empty,
      parts,
      adding,
    );
    made.addEventListener("dragover", (event) => dropPlace(event, group, made));
    made.addEventListener("drop", (event) => dropped(event, group, made));
    made.addEventListener("dragleave", () => made.classList.remove("cnb-builder-over"));
    return made;
  }

  function line(part, i, group) {
    const body = part.parts ? groupBox(part, group) : part.raw !== undefined ? rawRow(part) : row(part);
    const grip = el(
      "button",
      {
        type: "button",
        class: "cnb-quiet cnb-builder-grip",
        draggable: "true",
        "data-part": "grip",
        "aria-label": "move: drag, or arrow keys",
        title: "Drag, or press arrow keys, to move",
      },
      icon(GRIP),
    );
    grip.addEventListener("keydown", (event) => {
      const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      move(part, group, step);
    });
    grip.addEventListener("dragstart", (event) => {
      dragged = { part, group };
      event.dataTransfer.effectAllowed = "move";
      event.dataTransfer.setData("text/plain", "condition");
    });
    grip.addEventListener("dragend", () => (dragged = null));
    const tools = el(
      "div",
      { class: "cnb-builder-tools" },
      el(
        "button",
        { type: "button", class: "cnb-quiet", "aria-label": "duplicate", title: "Duplicate", onclick: () => duplicate(part, group) },
        icon(COPY),
      ),
      el(
        "button",
        { type: "button", class: "cnb-quiet", "aria-label": "remove", title: "Remove", "data-part": "remove", onclick: () => remove(part, group) },
        icon(REMOVE),
      ),
    );
    const message = el("div", { class: "cnb-builder-message cnb-error cnb-text", role: "status" });
    return el(
      "div",
      { class: "cnb-builder-line", "data-id": part.id },
      grip,
      joint(i, group),
      el("div", { class: "cnb-builder-body" }, body, message),
      tools,
    );
  }

  /** What stands before a row: "where", then the word that joins, which the second row lets one change. */
  function joint(i, group) {
    if (i === 0) return el("span", { class: "cnb-builder-joint cnb-muted" }, "where");
    if (i > 1) return el("span", { class: "cnb-builder-joint cnb-muted" }, JUNCTIONS[group.junction]);
    const select = el(
      "select",
      { class: "cnb-builder-joint", "aria-label": "conditions are joined by", "data-part": "junction" },
      Object.entries(JUNCTIONS).map(([token, word]) => el("option", { value: token, selected: token === group.junction }, word)),
    );
    select.addEventListener("change", () => {
      group.junction = select.value;
      built({ id: group.parts[1].id, part: "junction" });
    });
    return select;
  }

  function row(part) {
    const field = part.key === null ? null : fieldOf(part.key);
    const cells = [fieldInput(part, field)];
    if (field) {
      const operator = operatorOf(part.op);
      const place = {
        row: part,
        field,
        operator,
        suggests: part.key !== DOCUMENT,
        values: (typed, kind) => view.values(part.key, typed, kind),
        changed: view.typed,
        redraw: (name) => built({ id: part.id, part: name }),
      };
      cells.push(operatorInput(part, field), valueInputs(place));
    }
    return el("div", { class: "cnb-builder-row" }, cells);
  }

  function fieldInput(part, field) {
    const label = (each) => (each.key === "" ? "(empty key)" : each.label || each.key);
    const items = view.fields.map((each) => ({ label: label(each), note: each.note, key: each.key }));
    const take = (key) => {
      if (key === part.key) return draw({ id: part.id, part: "field" });
      Object.assign(part, { key, ...begun(fieldOf(key)) });
      return built({ id: part.id, part: "value" });
    };
    return el(
      "div",
      { class: "cnb-builder-field" },
      combobox({
        value: field ? label(field) : "",
        label: "field",
        placeholder: "field",
        load: async (typed) => ({ items: items.filter((item) => item.label.toLowerCase().includes(typed.toLowerCase())) }),
        picked: (item) => take(item.key),
        entered: (typed) => {
          if (typed === "") return draw();
          return take(items.find((item) => item.label === typed)?.key ?? typed);
        },
        attributes: { "data-part": "field", title: field && field.note ? `${label(field)} · ${field.note}` : undefined },
      }),
    );
  }

  function operatorInput(part, field) {
    const tokens = view.operators.map((operator) => operator.token).filter((token) => token === part.op || field.operators.includes(token));
    const select = el(
      "select",
      { class: "cnb-builder-operator", "aria-label": "operator", "data-part": "op" },
      tokens.map((token) => el("option", { value: token, selected: token === part.op }, operatorOf(token).sentence)),
    );
    select.addEventListener("change", () => {
      const operator = operatorOf(select.value);
      const operands = fitted(part, field, operator);
      Object.assign(part, { op: select.value, operands });
      built({ id: part.id, part: "op" });
    });
    return select;
  }

  function rawRow(part) {
    const area = el("textarea", { rows: 3, class: "cnb-builder-raw", "aria-label": "condition as text", spellcheck: "false", "data-part": "value" });
    area.value = part.raw;
    area.addEventListener("input", () => {
      part.raw = area.value;
      view.typed();
    });
    return area;
  }

  /** What a row begins with when a field is chosen: the operator that is asked for most with such values. */
  function begun(field) {
    const first = (...tokens) => tokens.find((token) => field.operators.includes(token)) ?? field.operators[0];
    const ranged = field.kinds.length === 1 && ["number", "datetime"].includes(field.kinds[0]);
    const op = field.key === DOCUMENT || !field.kinds.length ? first("$contains") : ranged ? first(BETWEEN) : first("$eq");
    const operator = operatorOf(op);
    const kinds = kindsOf({ operands: [] }, field, operator);
    const operands = operator.operand === "range" ? [null, null] : kinds.length === 1 && kinds[0] === "bool" ? [{ kind: "bool", text: "true" }] : [];
    return { op, operands };
  }

  function add(group) {
    const part = { id: ownId(), key: null, op: "$eq", operands: [] };
    group.parts.push(part);
    built({ id: part.id, part: "field" });
  }

  function addGroup(group) {
    const part = { id: ownId(), key: null, op: "$eq", operands: [] };
    const inner = { id: ownId(), junction: group.junction === "$and" ? "$or" : "$and", parts: [part] };
    group.parts.push(inner);
    built({ id: part.id, part: "field" });
  }

  function duplicate(part, group) {
    const copy = copyOf(part);
    group.parts.splice(group.parts.indexOf(part) + 1, 0, copy);
    built({ id: copy.id, part: "value" });
  }

  function remove(part, group) {
    const i = group.parts.indexOf(part);
    group.parts.splice(i, 1);
    const next = group.parts[Math.min(i, group.parts.length - 1)];
    built(next ? { id: next.id, part: "remove" } : { id: group.id, part: "add" });
  }

  /** Move a part one place up or down: past a row, into a group beside it, or out of its own. */
  function move(part, group, step) {
    const i = group.parts.indexOf(part);
    const neighbour = group.parts[i + step];
    const parent = parentOf(group, view.rows());
    if (!neighbour && !parent) return;
    group.parts.splice(i, 1);
    if (neighbour?.parts) neighbour.parts.splice(step > 0 ? 0 : neighbour.parts.length, 0, part);
    else if (neighbour) group.parts.splice(i + step, 0, part);
    else parent.parts.splice(parent.parts.indexOf(group) + (step > 0 ? 1 : 0), 0, part);
    built({ id: part.id, part: "grip" });
  }

  function parentOf(wanted, group) {
    for (const part of group.parts) {
      if (part === wanted) return group;
      const found = part.parts && parentOf(wanted, part);
      if (found) return found;
    }
    return null;
  }

  const holds = (part, wanted) => part === wanted || (part.parts ?? []).some((each) => holds(each, wanted));

  function dropPlace(event, group, box) {
    if (!dragged || holds(dragged.part, group)) return;
    event.preventDefault();
    event.stopPropagation();
    box.classList.add("cnb-builder-over");
  }

  function dropped(event, group, box) {
    box.classList.remove("cnb-builder-over");
    if (!dragged || holds(dragged.part, group)) return;
    event.preventDefault();
    event.stopPropagation();
    const { part, group: from } = dragged;
    const lines = [...box.children].filter((child) => child.classList.contains("cnb-builder-line"));
    const after = lines.findIndex((each) => {
      const at = each.getBoundingClientRect();
      return event.clientY < at.top + at.height / 2;
    });
    const target = after < 0 ? null : group.parts[after];
    if (target === part) return;
    from.parts.splice(from.parts.indexOf(part), 1);
    group.parts.splice(target ? group.parts.indexOf(target) : group.parts.length, 0, part);
    built({ id: part.id, part: "grip" });
  }

  function mark() {
    for (const each of box.querySelectorAll(".cnb-builder-line")) {
      const message = each.querySelector(":scope > .cnb-builder-body > .cnb-builder-message");
      const problem = reading.problems[each.dataset.id];
      const text = problem ? shown(problem, 400) : "";
      if (message.textContent !== text) message.textContent = text;
      each.classList.toggle("cnb-builder-wrong", Boolean(problem));
      each.classList.toggle("cnb-builder-unfinished", reading.unfinished.includes(each.dataset.id));
      for (const input of each.querySelectorAll(
        ":scope > .cnb-builder-body > .cnb-builder-row [data-part=value], :scope > .cnb-builder-body > .cnb-builder-row [data-part=upper]",
      ))
        input.setAttribute("aria-invalid", String(Boolean(problem)));
    }
  }

  return {
    draw,
    /** Show what is wrong with which row. */
    mark: (next) => {
      reading = next;
      mark();
    },
    /** Take a part out, whichever group it is in. */
    removeById: (id) => {
      const find = (group) =>
        group.parts.find((part) => part.id === id && (remove(part, group), true)) ?? group.parts.filter((part) => part.parts).some(find);
      find(view.rows());
    },
  };
}
