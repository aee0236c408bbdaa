// One view of the map: its camera, its points, what is drawn at every moment. Knows no kernel and no buttons.

import { settled } from "./common.js";
import { Camera, Frame, projector } from "./map_camera.js";
import { FlatScene } from "./map_flat.js";
import { drawOverlay } from "./map_overlay.js";
import { Points } from "./map_points.js";
import { Scene } from "./map_scene.js";

const GLIDE = 700;
const STEP = 220;
const LARGEST_POINT = 22;

function eased(share) {
  return share < 0.5 ? 4 * share ** 3 : 1 - (2 - 2 * share) ** 3 / 2;
}

/** Return the numbers of a computed colour, 0 to 1; white if it is in words that are not ours. */
function channels(color) {
  const found = color.match(/^rgba?\(([\d.]+)[, ]+([\d.]+)[, ]+([\d.]+)/);
  return found ? found.slice(1, 4).map((value) => Number(value) / 255) : [1, 1, 1];
}

export class MapView {
  camera = new Camera();
  frame = new Frame([0, 0, 0], [1, 1, 1]);
  points = new Points();
  parts = {};
  density = false;
  sampled = false;
  focus = -1;
  region = null;
  /** Place of the point that is pointed at: a slot, or map coordinates. */
  hovered = null;
  share = 1;
  picture = null;

  #flights = new Map();
  #wished = 0;
  #untouched = true;
  colors = null;
  #pictures = 0;

  /** `told` has settled(), for when the view rests on something new, and drawn(). */
  constructor(root, stage, told) {
    Object.assign(this, { root, stage, told });
    [this.under, this.over] = stage.querySelectorAll("canvas");
    try {
      this.scene = new Scene(this.under, this.points, () => this.wish());
    } catch {
      this.scene = new FlatScene(this.under, this.points);
    }
    this.rest = settled(() => this.told.settled(), 160);
    // A view may be made before it stands in its page, where alone colours can be read: its first size comes with its place.
    this.observer = new ResizeObserver(() => {
      this.#resize();
      this.recolor();
    });
    this.observer.observe(stage);
  }

  close() {
    cancelAnimationFrame(this.#wished);
    this.#flights.clear();
    this.closed = true;
    this.observer.disconnect();
    this.scene.close();
  }

  // What is shown

  /** Take a part; `fresh` if it has changed, else it is only said in terms of other points. */
  take(name, part, { fresh, animate }) {
    this.parts[name] = part;
    const { points, scene } = this;
    if (name === "points") this.#takePoints(part, fresh, animate);
    if (name === "coloring" && part.arrays.codes.length === points.held) {
      Object.assign(points, { codes: part.arrays.codes, palette: part.arrays.palette });
      scene.changed("codes", "palette");
    }
    if (name === "sizes") {
      points.diameters = part.arrays?.diameters ?? null;
      scene.changed("diameters");
    }
    if (["points", "selection", "highlight", "query"].includes(name)) this.#look();
    if (fresh && ["points", "coloring"].includes(name)) this.rest();
    this.wish();
  }

  #takePoints(part, fresh, animate) {
    const first = this.points.count !== part.count;
    this.frame = new Frame(part.center, part.halves);
    const same = this.points.take(part, this.frame, this.share);
    this.sampled = part.sampled;
    this.scene.changed("from", "to", "codes");
    if (!fresh) return;
    const turned = this.camera.flat !== (part.dimensions === 2);
    this.camera.flat = part.dimensions === 2;
    this.hovered = null;
    this.setPicture(null);
    const moving = animate && same && this.#duration(GLIDE) > 0;
    this.share = moving ? 0 : 1;
    this.#flights.delete("points");
    if (moving) this.#fly("points", GLIDE, (share) => (this.share = share));
    if (first || turned || this.#untouched) this.fit(moving ? GLIDE : 0);
  }

  #look() {
    const { selection, highlight, query } = this.parts;
    this.points.look({ selection, highlight, hits: query?.arrays?.slots });
    this.scene.changed("looks");
  }

  setDensity(on) {
    this.density = on;
    this.setPicture(null);
  }

  /** Show the outline of a region that is being drawn: pixels, or null. */
  outline(pixels) {
    this.region = pixels;
    this.wish();
  }

  setPicture(picture) {
    this.picture = picture;
    if (picture) this.root.dataset.pictures = String(++this.#pictures);
    this.scene.show(picture);
    this.wish();
  }

  /** Read the colours of the page. */
  recolor() {
    const style = getComputedStyle(this.root);
    const named = (name) => style.getPropertyValue(name).trim();
    this.colors = {
      ink: style.color,
      paper: style.backgroundColor,
      channels: channels(style.backgroundColor),
      accent: named("--cnb-accent"),
      soft: named("--cnb-accent-soft"),
      hit: named("--cnb-hit"),
      font: style.fontFamily,
    };
    this.wish();
  }

  // Where it is looked at from

  #duration(milliseconds) {
    return matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : milliseconds;
  }

  /** Call `step` with a share from 0 to 1, every frame. */
  #fly(name, milliseconds, step) {
    const length = this.#duration(milliseconds);
    this.#flights.delete(name);
    if (length === 0) step(1);
    else this.#flights.set(name, { start: null, length, step });
    this.wish();
  }

  #flyTo(pose, milliseconds) {
    const from = this.camera.pose();
    this.#fly("camera", milliseconds, (share) => this.camera.stand(from, pose, share));
    this.rest();
  }

  fit(milliseconds = STEP) {
    this.#untouched = true;
    this.#flyTo(this.#whole(), milliseconds);
  }

  #whole() {
    return this.camera.fitted(this.frame.extent, this.points.radius);
  }

  inset(pixels) {
    if (this.camera.inset === pixels) return;
    this.camera.inset = pixels;
    if (this.#untouched) this.fit(this.parts.points && this.points.held && !this.#flights.has("points") ? STEP : 0);
    this.wish();
  }

  move(x, y, turning) {
    this.#moved();
    if (turning && !this.camera.flat) this.camera.orbit(x, y);
    else this.camera.pan(x, y);
  }

  zoom(x, y, factor, smooth) {
    const before = this.camera.pose();
    this.#moved();
    this.camera.zoomAt(x, y, factor);
    if (!smooth) return;
    const after = this.camera.pose();
    this.camera.stand(before, after, 0);
    this.#flyTo(after, STEP);
  }

  zoomMiddle(factor) {
    this.zoom((this.camera.width - this.camera.inset) / 2, this.camera.height / 2, factor, true);
  }

  #moved() {
    this.#untouched = false;
    this.#flights.delete("camera");
    // A picture of a 3-D map is of one direction only.
    if (!this.camera.flat && this.picture) this.setPicture(null);
    this.rest();
    this.wish();
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.stage;
    if (!width || !height) return;
    Object.assign(this.camera, { width, height });
    this.told.resized();
    if (this.#untouched) this.fit(0);
    this.rest();
    this.wish();
    // Drawn at once, since a canvas is empty after a change of size.
    this.#draw();
  }

  // What is where

  get relativeZoom() {
    return this.camera.zoom / this.#whole().zoom;
  }

  /** Times the diameters that suit the whole map. */
  get scale() {
    const largest = this.parts.sizes?.arrays?.diameters ? 3 : Math.max(1, LARGEST_POINT / this.diameter);
    return Math.max(0.8, Math.min(this.relativeZoom ** 0.4, largest, 6));
  }

  get diameter() {
    return this.parts.points?.diameter ?? 6;
  }

  /** Where the kernel looks for something: pixels as what it knows, data coordinates or a place in a view. */
  ofKernel(pixels) {
    const { camera, frame } = this;
    if (!camera.flat)
      return { places: pixels.map(([x, y]) => camera.toClip(x, y)), matrix: camera.dataMatrix(frame), radius: [2 / camera.width, 2 / camera.height] };
    const pixel = frame.half / camera.unit;
    return { places: pixels.map(([x, y]) => frame.toData(camera.at(x, y)).slice(0, 2)), matrix: null, radius: [pixel, pixel] };
  }

  /** The slot under a pixel, or -1. */
  slotAt(x, y) {
    const radius = Math.max(7, (this.diameter * this.scale) / 2 + 3);
    return this.points.nearest(projector(this.camera), x, y, radius, this.share);
  }

  /** The pixel of what is pointed at, or null. */
  hoveredAt() {
    if (this.hovered === null) return null;
    const place = typeof this.hovered === "number" ? this.points.place(this.hovered, this.share) : this.hovered;
    return projector(this.camera)(...place).slice(0, 2);
  }

  // Drawing

  wish() {
    if (this.#wished || this.closed) return;
    this.root.dataset.drawn = "false";
    this.#wished = requestAnimationFrame((now) => this.#step(now));
  }

  #step(now) {
    this.#wished = 0;
    for (const [name, flight] of this.#flights) {
      flight.start ??= now;
      const share = Math.min(1, (now - flight.start) / flight.length);
      flight.step(share === 1 ? 1 : eased(share));
      if (share === 1) this.#flights.delete(name);
    }
    this.#draw();
    this.root.dataset.drawn = "true";
    if (this.#flights.size) this.wish();
  }

  #draw() {
    const { camera, under, over, points } = this;
    if (!this.colors || camera.width < 2) return;
    const ratio = Math.min(devicePixelRatio || 1, 3);
    for (const canvas of [under, over]) {
      const [width, height] = [Math.round(camera.width * ratio), Math.round(camera.height * ratio)];
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    }
    const { selection, highlight, query } = this.parts;
    const apart = Boolean(selection?.count) || (highlight && highlight.count !== null);
    const base = this.parts.points?.opacity ?? 1;
    const opacity = 1 - (1 - base) / Math.sqrt(Math.max(1, this.relativeZoom));
    this.scene.draw({
      matrix: camera.matrix(),
      share: this.share,
      flat: camera.flat,
      ratio,
      diameter: this.diameter,
      scale: this.scale * ratio,
      opacity: query?.place && !apart ? opacity * 0.55 : opacity,
      dimmed: opacity * 0.28,
      focus: this.focus,
      paper: this.colors.channels,
      points: !this.density || !this.picture,
      picture: this.density || this.sampled ? (apart || this.focus >= 0 ? 0.3 : 1) : 0,
    });
    // Kept off the graphics card, where Chromium shows the last drawing on when the next one is empty.
    const ctx = over.getContext("2d", { willReadFrequently: true });
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.clearRect(0, 0, camera.width, camera.height);
    this.root.dataset.labels = String(drawOverlay(ctx, this.#overlay()));
    const moving = this.#flights.size > 0;
    this.root.dataset.moving = String(moving);
    if (!moving) this.root.dataset.view = camera.dataMatrix(this.frame).join(" ");
    this.told.drawn();
  }

  /** Draw, and return what `make` makes of the canvases before the browser may empty them. */
  snapshot(make) {
    this.#draw();
    return make();
  }

  #overlay() {
    const { camera, points, parts } = this;
    const project = projector(camera);
    const still = this.share === 1;
    const colors = { ...this.colors, width: camera.width - camera.inset, height: camera.height };
    let query = null;
    if (parts.query?.place && still) {
      const hits = [...parts.query.arrays.slots].filter((slot) => slot >= 0).map((slot) => project(...points.place(slot, 1)));
      query = { ...parts.query, at: project(...this.frame.toMap(parts.query.place)).slice(0, 2), hits };
    }
    const labels = still ? (parts.labels?.labels ?? []).map(([text, place]) => ({ text, place: project(...this.frame.toMap(place)) })) : [];
    return {
      colors,
      query,
      labels: labels.map(({ text, place: [x, y] }) => ({ text, x, y })),
      region: this.region,
      hovered: this.hoveredAt(),
      radius: Math.max(3, (this.diameter * this.scale) / 2),
    };
  }
}
