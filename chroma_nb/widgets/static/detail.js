// The panel for one record. The kernel has the record; texts and pictures come when they are wanted.

import { Channel, el, followTheme, keepKeys, newest, shown } from "./common.js";
import { heading, metadata, neighbours, text } from "./detail_parts.js";

const PICTURE = /^image\/(png|jpeg|gif|webp|avif)$/;

function render({ model, el: place }) {
  const channel = new Channel(model);
  const latest = newest();
  const body = el("div", { class: "cnb-detail-body" });
  const problem = el("div", { class: "cnb-error cnb-text cnb-detail-problem", role: "alert" });
  const root = el("div", { class: "cnb cnb-detail", role: "region", "aria-label": "Record" }, problem, body);
  let last = { id: null, expanded: false, text: null };
  let address = null;
  let version;

  function load() {
    latest(channel.ask("state"), draw, failed);
  }

  function failed(error) {
    problem.textContent = shown(error.message);
  }

  async function tell(kind, content) {
    problem.textContent = "";
    try {
      return await channel.ask(kind, content);
    } catch (error) {
      if (content.version === version) failed(error); // another record is not to blame
    }
  }

  function draw(state) {
    version = state.version;
    root.toggleAttribute("aria-busy", state.loading);
    problem.textContent = "";
    if (state.record) record(state);
    else {
      forget();
      body.replaceChildren(
        el("p", { class: "cnb-muted cnb-detail-empty" }, state.loading ? "Loading …" : "Open a row or a point to see its record here"),
      );
    }
  }

  function record({ record: data, actions, filters }) {
    const same = data.id === last.id;
    const asked = version;
    const before = { ...last, root: root.scrollTop, text: last.text?.body?.scrollTop ?? 0 };
    const about = (kind, content = {}) => tell(kind, { version: asked, ...content });
    const copy = async (what) => (await about("text", what))?.text;
    const whole = async () => {
      const all = await copy({ what: "document" });
      if (all !== undefined) last.expanded = true;
      return all;
    };
    const document = text(data, whole, copy);
    const picture = data.image ? (same && body.querySelector(".cnb-detail-picture")) || el("div", { class: "cnb-detail-picture" }) : null;
    const buttons = actions.map(([name, label]) => el("button", { type: "button", onclick: () => about("action", { name }) }, label));
    const parts = [
      heading(data, copy),
      buttons.length ? el("div", { class: "cnb-row" }, buttons) : null,
      data.note ? el("p", { class: "cnb-muted cnb-text cnb-detail-note" }, data.note) : null,
      picture,
      document.element ?? document,
      metadata(data, filters, (at) => about("filter", { place: at }), copy),
      neighbours(data.neighbours, (at) => about("open", { place: at })),
    ];
    body.replaceChildren(...parts.filter(Boolean));
    last = { id: data.id, expanded: same && before.expanded, text: document };
    if (picture) paint(picture, about, data.id);
    else forget();
    root.scrollTop = same ? before.root : 0;
    if (same && before.expanded) document.expand?.().then(() => (document.body.scrollTop = before.text));
  }

  async function paint(frame, about, id) {
    const answer = await about("image");
    if (!answer || !PICTURE.test(answer.type)) return;
    const image = document.createElement("img");
    const next = URL.createObjectURL(new Blob([answer.arrays.image], { type: answer.type }));
    image.alt = shown(`Picture of ${id}`);
    image.onerror = () => frame.replaceChildren(el("span", { class: "cnb-muted" }, "This browser cannot show the picture"));
    image.src = next;
    frame.replaceChildren(image);
    forget();
    address = next;
  }

  function forget() {
    if (address) URL.revokeObjectURL(address);
    address = null;
  }

  const height = () => root.style.setProperty("--cnb-detail-height", model.get("height") ? `${model.get("height")}px` : "none");
  model.on("change:height", height);
  height();
  channel.hear("changed", load);
  keepKeys(root);
  place.append(root);
  const unfollow = followTheme(root);
  load();
  return () => {
    unfollow();
    forget();
    model.off("change:height", height);
    channel.close();
  };
}

export default { render };
