// The panel of the selection: what is selected, and what can be done with it. The kernel's half is chroma_nb/widgets/selection.py.

import { Channel, el, followTheme, icon, keepKeys, shown } from "./common.js";

const FILES = [
  ["csv", "CSV"],
  ["parquet", "Parquet"],
  ["html", "Map as HTML"],
  ["png", "Map as PNG"],
];
const UNDO = "M3 6h7a3.5 3.5 0 0 1 0 7H7M3 6l3-3M3 6l3 3";
const CLEAR = "M4 4l8 8M12 4l-8 8";

/** Draw the panel into `root`. */
function panel(root, channel) {
  const count = el("div", { class: "cnb-selection-count" });
  const said = el("div", { class: "cnb-selection-said cnb-muted", role: "status", "aria-live": "polite" });
  const names = el("div", { class: "cnb-row" });
  const keys = el("datalist", { id: `cnb-keys-${crypto.getRandomValues(new Uint32Array(2)).join("-")}` });
  const name = el("input", { placeholder: "name of this selection", "aria-label": "name of this selection" });
  const key = el("input", { placeholder: "key", "aria-label": "metadata key to write", list: keys.id });
  const value = el("input", { placeholder: "value", "aria-label": "value to write" });
  const needing = [];

  async function act(what, ...given) {
    said.classList.remove("cnb-error");
    try {
      said.textContent = shown((await channel.ask("act", { what, given })).said);
      return true;
    } catch (error) {
      said.classList.add("cnb-error");
      said.textContent = shown(error.message);
      return false;
    }
  }

  const button = (label, onclick, attributes = {}, drawn = null) => el("button", { type: "button", onclick, ...attributes }, drawn && icon(drawn), label);
  const onSelected = (made) => (needing.push(made), made);

  async function keep() {
    if (await act("keep", name.value)) name.value = "";
  }

  async function tag() {
    if (await act("tag", key.value, value.value)) value.value = "";
  }

  const entered = (call) => (event) => event.key === "Enter" && call();
  name.addEventListener("keydown", entered(keep));
  value.addEventListener("keydown", entered(tag));

  root.append(
    el(
      "div",
      { class: "cnb-selection-head" },
      count,
      el("div", { class: "cnb-row" }, onSelected(button("Clear", () => act("clear"), {}, CLEAR)), button("Undo", () => act("undo"), { title: "the selection before" }, UNDO)),
    ),
    section("Keep", "for as long as the explorer lives", el("div", { class: "cnb-row" }, name, onSelected(button("Keep", keep))), names),
    section(
      "Tag",
      "writes a value into the records' metadata",
      el("div", { class: "cnb-row" }, key, el("span", { class: "cnb-muted" }, "="), value, onSelected(button("Write", tag)), keys),
    ),
    section("Save", "beside the notebook", el("div", { class: "cnb-row" }, FILES.map(([kind, label]) => button(label, () => act("save", kind))))),
    el("p", { class: "cnb-muted cnb-selection-hint" }, "In Python: ", el("code", {}, "explorer.selection"), " is a DataFrame of what is selected."),
    said,
  );

  return (state) => {
    count.replaceChildren(
      el("strong", {}, state.count.toLocaleString("en")),
      el("span", { class: "cnb-muted" }, ` of ${state.total.toLocaleString("en")} records selected`),
    );
    needing.forEach((made) => (made.disabled = !state.count));
    names.replaceChildren(
      ...state.names.map(([text, size], i) => button(`${text} · ${size.toLocaleString("en")}`, () => act("restore", i), { title: "select these again", class: "cnb-selection-name" })),
    );
    keys.replaceChildren(...state.keys.map((each) => el("option", { value: each })));
  };
}

function section(title, hint, ...children) {
  return el("section", { class: "cnb-selection-section", "aria-label": title }, el("h4", {}, title, el("span", { class: "cnb-muted" }, ` ${hint}`)), ...children);
}

export default {
  render({ model, el: host }) {
    const channel = new Channel(model);
    const root = el("div", { class: "cnb cnb-selection" });
    host.append(root);
    const unfollow = followTheme(root);
    keepKeys(root);
    const show = panel(root, channel);
    channel.hear("state", show);
    channel.ask("state").then(show, () => {});
    return () => {
      unfollow();
      channel.close();
    };
  },
};
