import { Channel, el, followTheme, icon, keepKeys, settled, shown } from "./common.js";
import { codePanel, number, pastePanel, whyNothing } from "./builder_panels.js";
import { menuButton, Popup } from "./builder_popup.js";
import { rowsEditor } from "./builder_rows.js";
import { searchEditor } from "./builder_search.js";

// The query builder's page: what is asked lives in the kernel; here it is shown, edited and sent back as a whole.

const CODE = "M5.5 4.5L2 8l3.5 3.5M10.5 4.5L14 8l-3.5 3.5";
const CLOCK = "M8 4.5V8l2.5 1.5M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0z";
const PASTE = "M5.5 3.5h-2v10h9v-10h-2M5.5 2.5h5v2.5h-5z";
const RUN = "M5 3.5v9l7.5-4.5z";
const TYPING = 150;

/** Send the newest of what is to be sent, one at a time: a slow answer holds up one question, not a queue of them. */
function oneAtATime(send) {
  let busy = false;
  let again = false;
  return async function next() {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      await send();
    } finally {
      busy = false;
      if (again) {
        again = false;
        next();
      }
    }
  };
}

function render({ model, el: host }) {
  const channel = new Channel(model);
  const me = crypto.getRandomValues(new Uint32Array(2)).join("-");
  const root = el("div", { class: "cnb cnb-builder", role: "region", "aria-label": "query builder" });
  host.append(root);
  keepKeys(root);
  const unfollow = followTheme(root);

  let state = null;
  let question = null;
  let reading = null;
  let running = false;

  const parts = frame();
  const rows = rowsEditor(parts.rows, {
    get fields() {
      return state.fields;
    },
    get unknown() {
      return state.unknown;
    },
    get operators() {
      return state.operators;
    },
    rows: () => question.rows,
    values: suggestions,
    typed: () => later(),
    built: () => now(),
  });
  const search = searchEditor(parts.search, {
    question: () => question,
    typed: () => later(),
    built: () => {
      drawResults();
      now();
    },
  });

  const count = oneAtATime(async () => {
    parts.count.classList.add("cnb-builder-old");
    try {
      await channel.ask("count");
    } catch (error) {
      showCount({ failure: error.message });
    }
  });
  const send = oneAtATime(async () => {
    parts.code.outdated();
    try {
      const next = await channel.ask("edit", { question, by: me });
      mark(next);
      if (!next.counted) count();
    } catch (error) {
      fail(error.message);
    }
  });
  const later = settled(send, TYPING);
  const now = () => send();

  channel.hear("question", (told) => {
    if (told.by === me) return;
    question = told.question;
    rows.draw();
    search.draw();
    drawResults();
    mark(told);
    if (!told.by && !told.counted) count();
  });
  channel.hear("counted", showCount);
  channel.hear("changed", () => ask());
  root.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      event.stopPropagation();
      if (parts.paste.element.contains(event.target)) parts.paste.take();
      else run();
    },
    true,
  );
  ask();

  async function ask() {
    try {
      state = await channel.ask("state");
    } catch (error) {
      fail(error.message);
      return;
    }
    question = state.question;
    parts.name.textContent = shown(state.name);
    parts.total.textContent = `${number(state.total)} ${state.total === 1 ? "record" : "records"}`;
    search.draw();
    rows.draw();
    drawResults();
    mark(state);
    root.dataset.ready = "true";
    count();
  }

  function frame() {
    const paste = pastePanel(
      (text) => channel.ask("paste", { text }),
      () => {
        pasting.setAttribute("aria-expanded", "false");
        pasting.focus();
      },
    );
    const code = codePanel(() => copy.focus());
    const pasting = el("button", { type: "button", class: "cnb-quiet", "aria-expanded": "false", onclick: togglePaste }, icon(PASTE), "Paste where");
    const past = menuButton([icon(CLOCK), "History"], pastItems, { empty: "Questions you run are kept here.", attributes: { class: "cnb-quiet" } });
    const copy = menuButton([icon(CODE), "Copy as code"], languages);
    const made = {
      paste,
      code,
      name: el("strong", { class: "cnb-text" }),
      total: el("span", { class: "cnb-muted" }),
      search: el("div", { class: "cnb-builder-search" }),
      rows: el("div", { class: "cnb-builder-rows" }),
      count: el("div", { class: "cnb-builder-count", role: "status", "aria-live": "polite" }),
      results: el("div", { class: "cnb-builder-results cnb-row" }),
      failure: el("div", { class: "cnb-builder-failure cnb-error cnb-text", role: "alert" }),
      blame: el("div", { class: "cnb-builder-blame" }),
      run: el(
        "button",
        { type: "button", class: "cnb-main", title: "Run (Ctrl or Cmd + Enter)", onclick: () => run() },
        icon(RUN),
        el("span", {}, "Run"),
      ),
    };
    const title = el("div", { class: "cnb-builder-title" }, made.name, made.total);
    root.append(
      el("div", { class: "cnb-builder-head" }, title, el("div", { class: "cnb-row" }, past, pasting)),
      made.search,
      made.rows,
      paste.element,
      el("div", { class: "cnb-builder-foot" }, made.count, el("div", { class: "cnb-row" }, made.results, copy, made.run)),
      made.failure,
      made.blame,
      code.element,
    );
    function togglePaste() {
      if (!paste.element.hidden) return paste.close();
      pasting.setAttribute("aria-expanded", "true");
      return paste.open();
    }
    return made;
  }

  function drawResults() {
    const ranked = question.by !== "nothing";
    const input = el("input", {
      type: "number",
      min: "1",
      step: "1",
      class: "cnb-builder-most",
      "aria-label": ranked ? "number of results" : "at most so many records",
    });
    input.value = String((ranked ? question.n_results : question.limit) ?? "");
    input.placeholder = "all";
    input.addEventListener("input", () => {
      const value = Number(input.value);
      if (input.value === "" && !ranked) question.limit = null;
      else if (!Number.isInteger(value) || value < 1) return;
      else question[ranked ? "n_results" : "limit"] = value;
      later();
    });
    const label = el("label", { class: "cnb-row cnb-muted" }, ranked ? "nearest" : "at most", input);
    const popup = new Popup();
    const choices = () =>
      el(
        "div",
        { class: "cnb-builder-choices", role: "group", "aria-label": "columns" },
        state.includes.filter((name) => ranked || name !== "distances").map(choice),
      );
    const closed = () => wanted.setAttribute("aria-expanded", "false");
    const wanted = el(
      "button",
      { type: "button", class: "cnb-quiet", "aria-expanded": "false", onclick: () => (popup.isOpen ? popup.close() : open()) },
      "Columns",
    );
    const open = () => {
      const box = choices();
      box.addEventListener("keydown", (event) => event.key === "Escape" && (popup.close(), wanted.focus()));
      popup.open(wanted, box, { closed });
      wanted.setAttribute("aria-expanded", "true");
      box.querySelector("input").focus();
    };
    parts.results.replaceChildren(label, wanted);
  }

  function choice(name) {
    const box = el("input", { type: "checkbox", checked: question.include.includes(name) });
    box.addEventListener("change", () => {
      question.include = state.includes.filter((each) => (each === name ? box.checked : question.include.includes(each)));
      now();
    });
    return el("label", { class: "cnb-row" }, box, name);
  }

  function mark(next) {
    reading = next;
    rows.mark(next);
    const problem = next.problem ?? next.failure;
    fail(problem ?? "");
    const wrong = Object.keys(next.problems).length > 0 || Boolean(next.problem);
    parts.run.disabled = running || wrong;
    if (Object.keys(next.problems).length) showCount({ count: null });
  }

  function fail(message) {
    parts.failure.textContent = message ? shown(message, 1000) : "";
  }

  function showCount({ count: matching, total, blame = [], failure }) {
    parts.count.classList.remove("cnb-builder-old");
    parts.blame.replaceChildren();
    if (failure !== undefined) {
      parts.count.replaceChildren(el("span", { class: "cnb-error cnb-text" }, shown(failure, 300)));
      return;
    }
    if (matching === null || matching === undefined) {
      const wrong = Object.keys(reading?.problems ?? {}).length;
      if (wrong)
        parts.count.replaceChildren(el("span", { class: "cnb-muted" }, wrong === 1 ? "A condition is wrong" : `${wrong} conditions are wrong`));
      return;
    }
    parts.total.textContent = `${number(total)} ${total === 1 ? "record" : "records"}`;
    const share = el("span", { class: "cnb-muted" }, ` of ${number(total)} ${total === 1 ? "record matches" : "records match"}`);
    parts.count.replaceChildren(el("strong", {}, number(matching)), share);
    if (matching === 0 && total) parts.blame.replaceChildren(...whyNothing(blame, rows.removeById));
  }

  async function suggestions(key, typed, kind) {
    const { values, more } = await channel.ask("values", { key, typed });
    const items = values
      .filter((value) => value.kind === kind)
      .map(({ count: times, ...operand }) => ({ label: operand.text === "" ? "(empty text)" : operand.text, note: number(times), operand }));
    return { items, more };
  }

  async function run() {
    if (running || parts.run.disabled) return;
    running = true;
    parts.run.disabled = true;
    parts.run.lastChild.textContent = "Running…";
    try {
      // What was just typed is part of the question.
      mark(await channel.ask("edit", { question, by: me }));
      await channel.ask("run");
      fail("");
    } catch (error) {
      fail(error.message);
    } finally {
      running = false;
      parts.run.lastChild.textContent = "Run";
      parts.run.disabled = Object.keys(reading.problems).length > 0;
    }
  }

  function languages() {
    return state.languages.map(([language, label]) => ({ label, pick: () => showCode(language, label) }));
  }

  async function pastItems() {
    const { history } = await channel.ask("history");
    return history.map(({ words, results }, place) => ({
      label: words,
      note: number(results),
      pick: () => channel.ask("restore", { place }).catch((error) => fail(error.message)),
    }));
  }

  async function showCode(language, label) {
    let text;
    try {
      await channel.ask("edit", { question, by: me });
      ({ text } = await channel.ask("code", { language }));
    } catch (error) {
      parts.code.fail(error.message);
      return;
    }
    await parts.code.show(text, label);
  }

  return () => {
    unfollow();
    channel.close();
  };
}

export default { render };
