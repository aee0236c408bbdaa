// The map's front end: what stands around the points, and the talk with chroma_nb/widgets/map.py.

import { Channel, el, followTheme, icon, keepKeys } from "./common.js";
import { controlsIn } from "./map_controls.js";
import { download, pictureOf } from "./map_export.js";
import { listen } from "./map_gestures.js";
import { fillLegend } from "./map_legend.js";
import { Tip } from "./map_tip.js";
import { MapView } from "./map_view.js";

const ICONS = {
  pan: "M8 2v12M2 8h12M8 2 6 4M8 2l2 2M8 14l-2-2M8 14l2-2M2 8l2-2M2 8l2 2M14 8l-2-2M14 8l-2 2",
  lasso: "M4.5 10.5C2.8 9.8 2 8.7 2 7.3 2 4.9 4.7 3 8 3s6 1.9 6 4.3-2.7 4.3-6 4.3c-.9 0-1.7-.1-2.5-.4M4.5 10.5a1.4 1.4 0 1 0 .5 2.3c.7-.6.7-1.5-.5-2.3M5 12.8c.2.8 0 1.5-.6 2.2",
  box: "M2.5 5V2.5H5M8 2.5h1M11 2.5h2.5V5M13.5 8v1M13.5 11v2.5H11M8 13.5H7M5 13.5H2.5V11M2.5 8V7",
  closer: "M8 3v10M3 8h10",
  farther: "M3 8h10",
  fit: "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
  density: "M8 13.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6M8 8.5a.5.5 0 1 0 0-1 .5.5 0 0 0 0 1",
  save: "M8 2.5v7.5M5 7.5l3 3 3-3M3 13.5h10",
};
/** Parts that are not about points. */
const OTHERS = new Set(["controls", "status", "stale"]);
const SHORTEST = 240;
const WIDE = 640;

function whole(number) {
  return number.toLocaleString("en");
}

function render({ model, el: place }) {
  const channel = new Channel(model);
  const heard = new Map();
  let tool = "pan";
  let hovering = null;

  // What there is

  const control = el("div", { class: "cnb-map-controls" });
  const stage = el("div", { class: "cnb-map-stage", tabindex: "0", role: "application" }, el("canvas", { "aria-hidden": "true" }), el("canvas", { "aria-hidden": "true" }));
  const legendBox = el("div", { class: "cnb-map-legend", role: "group", "aria-label": "Legend" });
  const tipBox = el("div", { class: "cnb-map-tip", role: "tooltip" });
  const hintBox = el("div", { class: "cnb-map-hint", "aria-hidden": "true" }, "Click the map to zoom with the wheel, or hold Ctrl");
  const emptyBox = el("div", { class: "cnb-map-empty cnb-muted" }, "No points to show yet");
  const staleBox = el("div", { class: "cnb-map-stale", role: "status" });
  const tools = el("div", { class: "cnb-map-tools", role: "toolbar", "aria-label": "Map tools", "aria-orientation": "vertical" });
  const field = el("div", { class: "cnb-map-field" }, stage, tools, legendBox, staleBox, emptyBox, hintBox, tipBox);
  const grip = el("div", { class: "cnb-map-grip", title: "Drag to change the height" });
  const readout = el("span", { class: "cnb-map-readout", role: "status" });
  const clear = el("button", { type: "button", class: "cnb-quiet", onclick: () => select([], "replace") }, "Clear");
  const statusText = el("span", { class: "cnb-map-status-text", role: "status" });
  const more = el("button", { type: "button", class: "cnb-quiet", "aria-expanded": "false", onclick: () => openDetail(detail.hidden) }, "Details");
  const detail = el("div", { class: "cnb-map-detail cnb-text cnb-muted" });
  const progress = el("div", { class: "cnb-map-progress", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100" }, el("div", {}));
  const foot = el("div", { class: "cnb-map-foot" }, readout, clear, el("span", { class: "cnb-map-gap" }), statusText, more);
  const root = el("div", { class: "cnb cnb-map" }, control, field, grip, progress, foot, detail);
  for (const box of [control, legendBox, tipBox, staleBox, clear, more, detail]) box.hidden = true;
  keepKeys(root);
  place.append(root);

  // Asking the kernel

  function ask(kind, content = {}) {
    const answer = channel.ask(kind, content);
    answer.catch((error) => say(error.message, true));
    return answer;
  }

  const tip = new Tip(tipBox, (question) => ask("hover", question));
  const view = new MapView(root, stage, { settled: askPicture, drawn: placeTip, resized: inset });
  Object.assign(root.dataset, { renderer: view.scene.kind, points: "0", selected: "0", hits: "0", tool });

  // A picture of all points, for this view

  let asked = 0;

  async function askPicture() {
    const { camera } = view;
    if (!view.points.count || camera.width < 2 || !(view.density || view.sampled)) return;
    const own = ++asked;
    const margin = camera.flat ? 0.15 : 0;
    const [width, height] = [camera.width * (1 + 2 * margin), camera.height * (1 + 2 * margin)];
    const corners = [
      [-margin * camera.width, (1 + margin) * camera.height],
      [(1 + margin) * camera.width, -margin * camera.height],
    ];
    const { places, matrix } = view.ofKernel(corners);
    const size = { width: Math.round(width), height: Math.round(height) };
    const answer = await ask("picture", { ...size, box: places.flat(), matrix, density: view.density }).catch(() => null);
    if (!answer || own !== asked) return;
    const image = await createImageBitmap(new Blob([answer.arrays.file], { type: "image/png" }));
    if (own !== asked || view.closed) return;
    const box = matrix ? null : places.map(([x, y]) => view.frame.toMap([x, y, view.frame.center[2]]).slice(0, 2)).flat();
    view.setPicture({ image, box });
  }

  // Selecting

  function select(pixels, mode) {
    const { places, matrix } = view.ofKernel(pixels);
    ask("region", { polygon: places.flat(), matrix, mode });
  }

  function pick(code, mode) {
    ask("group", { code, mode });
  }

  function focusOn(code) {
    view.focus = code;
    view.wish();
  }

  // Pointing at points

  function pointed(x, y) {
    if (!view.sampled) {
      const slot = view.slotAt(x, y);
      return slot < 0 ? null : { row: view.points.row(slot), slot };
    }
    const { places, matrix, radius } = view.ofKernel([[x, y]]);
    return { at: places[0], matrix, radius: radius.map((pixel) => pixel * 8) };
  }

  function hover(x, y) {
    if (hovering === null) requestAnimationFrame(() => !view.closed && hoverNow());
    hovering = [x, y];
  }

  function hoverNow() {
    if (hovering === null) return;
    const [x, y] = hovering;
    hovering = null;
    const found = view.density && !view.sampled ? null : pointed(x, y);
    if (found === null) return leave();
    if (found.slot !== undefined) point(found.slot);
    else tip.about(null, found, 70, (answer) => hold(answer.row === null ? null : view.frame.toMap(answer.place)));
  }

  function point(slot) {
    hold(slot);
    tip.about(view.points.row(slot), { row: view.points.row(slot) }, 60, placeTip);
  }

  function hold(what) {
    if (what !== view.hovered) stage.style.cursor = what === null ? "" : "pointer";
    view.hovered = what;
    view.wish();
  }

  function leave() {
    hovering = null;
    tip.hide();
    if (view.hovered !== null) hold(null);
  }

  function placeTip() {
    const at = view.hoveredAt();
    if (at) tip.place(at, view.camera.width, view.camera.height);
  }

  function click(x, y, modifiers) {
    const { slot, ...found } = pointed(x, y) ?? {};
    ask("click", { ...found, modifiers });
  }

  /** Go to the next or previous hit of the query. */
  function stepHit(by) {
    const hits = [...(view.parts.query?.arrays?.slots ?? [])].filter((slot) => slot >= 0);
    if (!hits.length) return;
    const now = hits.indexOf(view.hovered);
    point(hits[(now < 0 ? (by > 0 ? 0 : hits.length - 1) : now + by + hits.length) % hits.length]);
  }

  // Tools

  function choose(name) {
    tool = name;
    root.dataset.tool = name;
    for (const button of tools.querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", String(button.dataset.tool === name));
  }

  function toggleDensity() {
    model.set("density", !model.get("density"));
    model.save_changes();
  }

  function save() {
    view.wish();
    // In one go with the drawing: the browser may empty the canvas afterwards.
    requestAnimationFrame(() => download(view.snapshot(() => pictureOf(view, view.parts.coloring?.legend, view.colors)), "map.png"));
  }

  function tooled(name, label, path, act, pressed) {
    return el("button", { type: "button", class: "cnb-quiet", title: label, "aria-label": label, onclick: act, "data-tool": pressed === "tool" ? name : null, "data-name": name, "aria-pressed": pressed ? "false" : null }, icon(path));
  }

  tools.append(
    tooled("pan", "Pan (P)", ICONS.pan, () => choose("pan"), "tool"),
    tooled("lasso", "Lasso (L), or drag with Shift; Shift adds, Alt removes", ICONS.lasso, () => choose("lasso"), "tool"),
    tooled("box", "Box (B); Shift adds, Alt removes", ICONS.box, () => choose("box"), "tool"),
    el("hr"),
    tooled("closer", "Zoom in (+)", ICONS.closer, () => view.zoomMiddle(1.6)),
    tooled("farther", "Zoom out (-)", ICONS.farther, () => view.zoomMiddle(1 / 1.6)),
    tooled("fit", "Show all (0)", ICONS.fit, () => view.fit()),
    el("hr"),
    tooled("density", "Density (D)", ICONS.density, toggleDensity, "switch"),
    tooled("save", "Save as PNG", ICONS.save, save),
  );
  choose("pan");

  const keys = {
    ArrowLeft: () => view.move(50, 0, true),
    ArrowRight: () => view.move(-50, 0, true),
    ArrowUp: () => view.move(0, 50, true),
    ArrowDown: () => view.move(0, -50, true),
    "+": () => view.zoomMiddle(1.4),
    "=": () => view.zoomMiddle(1.4),
    "-": () => view.zoomMiddle(1 / 1.4),
    0: () => view.fit(),
    Home: () => view.fit(),
    p: () => choose("pan"),
    l: () => choose("lasso"),
    b: () => choose("box"),
    d: toggleDensity,
    n: () => stepHit(1),
    N: () => stepHit(-1),
    Enter: () => typeof view.hovered === "number" && ask("click", { row: view.points.row(view.hovered), modifiers: [] }),
    Escape: () => (view.parts.selection?.count ? select([], "replace") : choose("pan")),
  };

  function key(name) {
    const act = keys[name] ?? keys[name.toLowerCase()];
    act?.();
    return Boolean(act);
  }

  let hinted;

  function hint() {
    hintBox.dataset.shown = "true";
    clearTimeout(hinted);
    hinted = setTimeout(() => delete hintBox.dataset.shown, 1400);
  }

  listen(stage, {
    tool: () => tool,
    move: (x, y, turning) => view.move(x, y, turning),
    zoom: (x, y, factor, smooth) => view.zoom(x, y, factor, smooth),
    region(points) {
      view.region = points;
      view.wish();
    },
    select,
    hover,
    leave,
    click,
    key,
    hint,
  });

  // Around the map

  function inset() {
    const wide = field.clientWidth >= WIDE;
    root.dataset.wide = String(wide);
    view.inset(wide && !legendBox.hidden ? legendBox.offsetWidth + 12 : 0);
  }

  function count() {
    const { points, selection, highlight } = view.parts;
    const total = points?.count ?? 0;
    const chosen = selection?.count ?? 0;
    const matching = highlight?.count ?? null;
    const said = [chosen ? `${whole(chosen)} of ${whole(total)} selected` : `${whole(total)} ${total === 1 ? "point" : "points"}`];
    if (matching !== null) said.push(`${whole(matching)} ${matching === 1 ? "matches" : "match"}`);
    if (points?.sampled) said.push("drawn from a sample over a picture of all");
    if (view.scene.kind === "2d") said.push("drawn without WebGL2");
    readout.textContent = said.join(" · ");
    clear.hidden = chosen === 0;
    emptyBox.hidden = total > 0;
    const hits = [...(view.parts.query?.arrays?.slots ?? [])].length;
    Object.assign(root.dataset, { points: String(total), held: String(view.points.held), selected: String(chosen), matching: matching === null ? "" : String(matching), hits: String(hits) });
    stage.setAttribute("aria-label", `Map of ${whole(total)} points, ${whole(chosen)} selected. Arrows move, plus and minus zoom, 0 shows all, L is the lasso, B the box, N the next hit, Escape clears.`);
  }

  function say(text, failed = false, explained = "") {
    statusText.textContent = "";
    statusText.append(el("span", { dir: "auto" }, text));
    statusText.classList.toggle("cnb-error", failed);
    statusText.title = "";
    detail.replaceChildren(el("span", {}, explained));
    more.hidden = !explained;
    if (!explained) openDetail(false);
  }

  function openDetail(open) {
    detail.hidden = !open;
    more.setAttribute("aria-expanded", String(open));
  }

  function showStale({ message, action }) {
    staleBox.hidden = message === null;
    const button = action ? el("button", { type: "button", onclick: () => ask("action", { name: action }) }, action) : null;
    staleBox.replaceChildren(...(message === null ? [] : [el("span", { dir: "auto" }, message), button].filter(Boolean)));
  }

  function showProgress({ text, fraction, detail: explained }) {
    say(text, false, explained);
    progress.dataset.shown = String(fraction !== null);
    progress.firstChild.style.width = `${100 * (fraction ?? 0)}%`;
    if (fraction === null) progress.removeAttribute("aria-valuenow");
    else progress.setAttribute("aria-valuenow", String(Math.round(100 * fraction)));
  }

  const showControls = controlsIn(control, (name, value) => ask("control", { name, value }));
  const around = {
    controls: ({ controls }) => showControls(controls),
    status: showProgress,
    stale: showStale,
    coloring({ legend }) {
      fillLegend(legendBox, legend, { pick, focus: focusOn });
      view.focus = -1;
      inset();
    },
  };

  // What the kernel says

  function take({ about, parts, arrays = {} }) {
    for (const [name, content] of Object.entries(parts)) {
      // An answer composed before something that was told meanwhile is older, whenever it arrives.
      if (about.serial < (heard.get(name) ?? 0)) continue;
      heard.set(name, about.serial);
      const own = Object.entries(arrays).filter(([array]) => array.startsWith(`${name}/`));
      const part = { ...content, arrays: Object.fromEntries(own.map(([array, values]) => [array.slice(name.length + 1), values])) };
      const fresh = about.news.includes(name);
      if (name === "points" && fresh) tip.forget();
      if (fresh) around[name]?.(part);
      if (!OTHERS.has(name)) view.take(name, part, { fresh, animate: about.animate });
    }
    count();
  }

  // Traits, and the end

  function resize() {
    stage.style.height = `${Math.max(SHORTEST, model.get("height"))}px`;
  }

  function setDensity() {
    view.density = Boolean(model.get("density"));
    tools.querySelector("[data-name=density]").setAttribute("aria-pressed", String(view.density));
    root.dataset.density = String(view.density);
    view.setPicture(null);
    leave();
    askPicture();
  }

  grip.addEventListener("pointerdown", (down) => {
    const [top, before] = [down.clientY, stage.clientHeight];
    grip.setPointerCapture(down.pointerId);
    const move = (event) => (stage.style.height = `${Math.max(SHORTEST, before + event.clientY - top)}px`);
    grip.addEventListener("pointermove", move);
    grip.addEventListener(
      "pointerup",
      () => {
        grip.removeEventListener("pointermove", move);
        model.set("height", stage.clientHeight);
        model.save_changes();
      },
      { once: true },
    );
  });

  const endTheme = followTheme(root, () => view.recolor());
  view.recolor();
  model.on("change:height", resize);
  model.on("change:density", setDensity);
  resize();
  setDensity();
  channel.hear("parts", take);
  ask("state").then(take, () => {});

  return () => {
    channel.close();
    model.off("change:height", resize);
    model.off("change:density", setDensity);
    clearTimeout(hinted);
    endTheme();
    tip.hide();
    view.close();
    root.remove();
  };
}

export default { render };
