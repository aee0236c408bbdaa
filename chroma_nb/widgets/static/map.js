// The map's front end: what stands around the points, and the talk with chroma_nb/widgets/map.py.

import { Channel, el, followTheme, keepKeys } from "./common.js";
import { controlsIn } from "./map_controls.js";
import { download, pictureOf } from "./map_export.js";
import { Foot, whole } from "./map_foot.js";
import { listen, resizable } from "./map_gestures.js";
import { fillLegend } from "./map_legend.js";
import { pictureAsker } from "./map_picture.js";
import { Pointing } from "./map_pointing.js";
import { toolsOf } from "./map_tools.js";
import { MapView } from "./map_view.js";

/** Parts that are not about points. */
const OTHERS = new Set(["controls", "status", "stale"]);
const SHORTEST = 240;
/** Pixels from which on the legend has room beside the points. */
const WIDE = 640;
const KEYS = "Arrows move, plus and minus zoom, 0 shows all, L is the lasso, B the box, N the next hit, Escape clears.";

/** The elements that stand in the map's field. */
function fieldOf() {
  const canvas = () => el("canvas", { "aria-hidden": "true" });
  const made = {
    stage: el("div", { class: "cnb-map-stage", tabindex: "0", role: "application" }, canvas(), canvas()),
    legend: el("div", { class: "cnb-map-legend", role: "group", "aria-label": "Legend" }),
    stale: el("div", { class: "cnb-map-stale", role: "status" }),
    empty: el("div", { class: "cnb-map-empty cnb-muted" }, "No points to show yet"),
    hint: el("div", { class: "cnb-map-hint", "aria-hidden": "true" }, "Click the map to zoom with the wheel, or hold Ctrl"),
    tip: el("div", { class: "cnb-map-tip", role: "tooltip" }),
  };
  for (const name of ["legend", "stale", "tip"]) made[name].hidden = true;
  return made;
}

class MapPanel {
  #heard = new Map();
  #hinted;

  constructor(model, place) {
    this.model = model;
    this.channel = new Channel(model);
    this.controls = el("div", { class: "cnb-map-controls" });
    this.controls.hidden = true;
    this.parts = fieldOf();
    this.foot = new Foot(() => this.select([], "replace"));
    this.root = el("div", { class: "cnb cnb-map" });
    this.tools = toolsOf(this.root, this.#toolActs());
    this.field = el("div", { class: "cnb-map-field" }, this.parts.stage, this.tools.box, ...Object.values(this.parts).slice(1));
    const grip = el("div", { class: "cnb-map-grip", title: "Drag to change the height" });
    this.root.append(this.controls, this.field, grip, ...this.foot.elements);
    keepKeys(this.root);
    place.append(this.root);

    this.view = new MapView(this.root, this.parts.stage, {
      settled: () => this.askPicture(),
      drawn: () => this.pointing?.place(),
      resized: () => this.#makeRoom(),
    });
    this.pointing = new Pointing(this.view, this.parts.tip, (kind, content) => this.ask(kind, content));
    this.askPicture = pictureAsker(this.view, (kind, content) => this.ask(kind, content));
    this.showControls = controlsIn(this.controls, (name, value) => this.ask("control", { name, value }));
    Object.assign(this.root.dataset, { renderer: this.view.scene.kind, points: "0", selected: "0", hits: "0" });
    listen(this.parts.stage, this.#gestureActs());
    resizable(grip, this.parts.stage, SHORTEST, (height) => this.#set("height", height));
  }

  /** Ask the kernel, with what this page has heard by now; what it cannot do is said under the map. */
  ask(kind, content = {}) {
    const answer = this.channel.ask(kind, { ...content, heard: Object.fromEntries(this.#heard) });
    answer.catch((error) => this.foot.say(error.message, { failed: true }));
    return answer;
  }

  select(pixels, mode) {
    const { places, matrix } = this.view.ofKernel(pixels);
    this.ask("region", { polygon: places.flat(), matrix, mode });
  }

  #set(trait, value) {
    this.model.set(trait, value);
    this.model.save_changes();
  }

  #toolActs() {
    return {
      fit: () => this.view.fit(),
      zoom: (factor) => this.view.zoomMiddle(factor),
      move: (x, y) => this.view.move(x, y, true),
      density: () => this.#set("density", !this.model.get("density")),
      save: () =>
        download(
          this.view.snapshot(() => pictureOf(this.view, this.view.parts.coloring?.legend, this.view.colors)),
          "map.png",
        ),
      hit: (by) => this.pointing.hit(by),
      open: () => this.pointing.open(),
      clear: () => {
        if (!this.view.parts.selection?.count) return false;
        this.select([], "replace");
        return true;
      },
    };
  }

  #gestureActs() {
    return {
      tool: () => this.tools.chosen,
      key: (name) => this.tools.key(name),
      move: (x, y, turning) => this.view.move(x, y, turning),
      zoom: (x, y, factor, smooth) => this.view.zoom(x, y, factor, smooth),
      region: (pixels) => this.view.outline(pixels),
      select: (pixels, mode) => this.select(pixels, mode),
      hover: (x, y) => this.pointing.hover(x, y),
      leave: () => this.pointing.leave(),
      click: (x, y, modifiers) => this.pointing.click(x, y, modifiers),
      hint: () => this.#hint(),
    };
  }

  #hint() {
    this.parts.hint.dataset.shown = "true";
    clearTimeout(this.#hinted);
    this.#hinted = setTimeout(() => delete this.parts.hint.dataset.shown, 1400);
  }

  /** Decide whether the legend stands over the map, whose middle then moves aside, or below it. */
  #makeRoom() {
    const wide = this.field.clientWidth >= WIDE;
    this.root.dataset.wide = String(wide);
    this.view.inset(wide && !this.parts.legend.hidden ? this.parts.legend.offsetWidth + 12 : 0);
  }

  // What the kernel says

  take({ about, parts, arrays = {} }) {
    for (const [name, content] of Object.entries(parts)) {
      // An answer composed before something that was told meanwhile is older, whenever it arrives.
      if (about.serial < (this.#heard.get(name) ?? 0)) continue;
      this.#heard.set(name, about.serial);
      const own = Object.entries(arrays).filter(([array]) => array.startsWith(`${name}/`));
      const part = { ...content, arrays: Object.fromEntries(own.map(([array, values]) => [array.slice(name.length + 1), values])) };
      const fresh = about.news.includes(name);
      if (fresh) this.#show(name, part);
      if (!OTHERS.has(name)) this.view.take(name, part, { fresh, animate: about.animate });
    }
    this.#count();
  }

  #show(name, part) {
    if (name === "points") this.pointing.tip.forget();
    if (name === "controls") this.showControls(part.controls);
    if (name === "status") this.foot.show(part);
    if (name === "stale") this.#showStale(part);
    if (name === "coloring") this.#showLegend(part.legend);
  }

  #showLegend(legend) {
    const focus = (code) => {
      this.view.focus = code;
      this.view.wish();
    };
    fillLegend(this.parts.legend, legend, { pick: (code, mode) => this.ask("group", { code, mode }), focus });
    this.view.focus = -1;
    this.#makeRoom();
  }

  #showStale({ message, action }) {
    const { stale } = this.parts;
    stale.hidden = message === null;
    if (message === null) return stale.replaceChildren();
    stale.replaceChildren(el("span", { dir: "auto" }, message));
    if (action) stale.append(el("button", { type: "button", onclick: () => this.ask("action", { name: action }) }, action));
  }

  #count() {
    const { points, selection, highlight, query } = this.view.parts;
    const [total, chosen] = [points?.count ?? 0, selection?.count ?? 0];
    this.foot.count(this.view);
    this.parts.empty.hidden = total > 0;
    this.parts.stage.setAttribute("aria-label", `Map of ${whole(total)} points, ${whole(chosen)} selected. ${KEYS}`);
    const counts = {
      points: total,
      held: this.view.points.held,
      selected: chosen,
      matching: highlight?.count ?? "",
      hits: query?.arrays?.slots?.length ?? 0,
    };
    for (const [name, count] of Object.entries(counts)) this.root.dataset[name] = String(count);
  }

  // Traits, and the end

  start() {
    const height = () => (this.parts.stage.style.height = `${Math.max(SHORTEST, this.model.get("height"))}px`);
    const density = () => {
      const on = Boolean(this.model.get("density"));
      this.tools.press("density", on);
      this.root.dataset.density = String(on);
      this.pointing.leave();
      this.view.setDensity(on);
      this.askPicture();
    };
    this.model.on("change:height", height);
    this.model.on("change:density", density);
    const endTheme = followTheme(this.root, () => this.view.recolor());
    this.view.recolor();
    height();
    density();
    this.channel.hear("parts", (message) => this.take(message));
    this.ask("state").then(
      (message) => this.take(message),
      () => {},
    );
    return () => {
      this.channel.close();
      this.model.off("change:height", height);
      this.model.off("change:density", density);
      clearTimeout(this.#hinted);
      endTheme();
      this.pointing.tip.hide();
      this.view.close();
      this.root.remove();
    };
  }
}

export default { render: ({ model, el: place }) => new MapPanel(model, place).start() };
