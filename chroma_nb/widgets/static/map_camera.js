// From where the map is looked at. Points are in map coordinates: the longer side of their box spans -1 to 1. No data and no drawing here.

const PERSPECTIVE = 0.2;
const NEAREST = 4000;

function dot(a, b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/** Multiply two 4x4 matrices whose rows stand one after the other. */
function product(a, b) {
  return a.map((_, at) => [0, 1, 2, 3].reduce((sum, i) => sum + a[(at & 12) + i] * b[4 * i + (at & 3)], 0));
}

/** Where the data lie: map coordinates are (data - center) / half. */
export class Frame {
  constructor(center, halves) {
    this.center = center;
    this.half = Math.max(...halves) || 1;
    this.extent = halves.map((half) => half / this.half);
  }

  toMap(place) {
    return place.map((value, axis) => (value - this.center[axis]) / this.half);
  }

  toData(place) {
    return place.map((value, axis) => value * this.half + this.center[axis]);
  }

  /** Data coordinates -> map coordinates, as a matrix. */
  matrix() {
    const rows = [0, 1, 2].flatMap((axis) => [0, 1, 2, 3].map((i) => (i === axis ? 1 / this.half : i === 3 ? -this.center[axis] / this.half : 0)));
    return [...rows, 0, 0, 0, 1];
  }
}

/** Pixels at the left edge that the tools stand on. */
const TOOLS = 40;

export class Camera {
  center = [0, 0, 0];
  zoom = 1;
  yaw = 0;
  pitch = 0;
  flat = true;
  width = 1;
  height = 1;
  /** Pixels at the right that something else covers: the middle of the map is the middle of the rest. */
  inset = 0;

  /** Pixels per unit of map coordinates. */
  get unit() {
    return (this.zoom * Math.min(this.width - this.inset, this.height)) / 2;
  }

  /** The viewer's right, up and towards, in map coordinates. */
  axes() {
    const [cy, sy, cp, sp] = [Math.cos(this.yaw), Math.sin(this.yaw), Math.cos(this.pitch), Math.sin(this.pitch)];
    return [
      [cy, 0, sy],
      [sp * sy, cp, -sp * cy],
      [-cp * sy, sp, cp * cy],
    ];
  }

  /** Map coordinates -> clip space, its rows one after the other. */
  matrix() {
    const [right, up, towards] = this.axes();
    const row = (axis, scale) => [...axis.map((value) => value * scale), -scale * dot(axis, this.center)];
    const z = row(towards, 1);
    const w = z.map((value) => (this.flat ? 0 : -PERSPECTIVE * value));
    w[3] += 1;
    const shift = -this.inset / this.width;
    const x = row(right, (2 * this.unit) / this.width).map((value, i) => value + shift * w[i]);
    return [...x, ...row(up, (2 * this.unit) / this.height), ...z, ...w];
  }

  /** Data coordinates -> clip space. */
  dataMatrix(frame) {
    return product(this.matrix(), frame.matrix());
  }

  /** Where a pixel is in the plane through the centre, in map coordinates. */
  at(x, y) {
    const [right, up] = this.axes();
    const across = (x - (this.width - this.inset) / 2) / this.unit;
    const upwards = (this.height / 2 - y) / this.unit;
    return this.center.map((value, axis) => value + right[axis] * across + up[axis] * upwards);
  }

  toClip(x, y) {
    return [(2 * x) / this.width - 1, 1 - (2 * y) / this.height];
  }

  pan(x, y) {
    const [right, up] = this.axes();
    this.center = this.center.map((value, axis) => Math.max(-1.2, Math.min(1.2, value - (right[axis] * x) / this.unit + (up[axis] * y) / this.unit)));
  }

  orbit(x, y) {
    this.yaw += x * 0.008;
    this.pitch = Math.max(-Math.PI / 2, Math.min(Math.PI / 2, this.pitch + y * 0.008));
  }

  /** Zoom so that what is under a pixel stays there. */
  zoomAt(x, y, factor) {
    const before = this.at(x, y);
    this.zoom = Math.max(0.2, Math.min(NEAREST, this.zoom * factor));
    const after = this.at(x, y);
    this.center = this.center.map((value, axis) => Math.max(-1.2, Math.min(1.2, value + before[axis] - after[axis])));
  }

  /** What shows all of a map: of a flat one the box with these half extents, of a deep one the ball of this radius. */
  fitted(extent, radius) {
    const [width, height] = [this.width - this.inset, this.height];
    const free = Math.max(width - 2 * TOOLS, width / 2);
    const half = this.flat ? extent : [radius, radius];
    const fits = Math.min(free / (half[0] || 1e-9), height / (half[1] || 1e-9), Math.min(width, height) * 3) / Math.min(width, height);
    return { center: [0, 0, 0], zoom: fits * 0.92, yaw: this.flat ? 0 : 0.5, pitch: this.flat ? 0 : 0.35 };
  }

  pose() {
    return { center: this.center, zoom: this.zoom, yaw: this.yaw, pitch: this.pitch };
  }

  /** Stand between two poses. */
  stand(from, to, share) {
    const mixed = (a, b) => a + (b - a) * share;
    this.center = from.center.map((value, axis) => mixed(value, to.center[axis]));
    this.zoom = from.zoom * (to.zoom / from.zoom) ** share;
    this.yaw = mixed(from.yaw, to.yaw);
    this.pitch = mixed(from.pitch, to.pitch);
  }
}

/** Return a function of a place (x, y, z in map coordinates) to [pixel x, pixel y, nearness], for many places at one moment. */
export function projector(camera) {
  const m = camera.matrix();
  const { width, height } = camera;
  return (x, y, z) => {
    const w = m[12] * x + m[13] * y + m[14] * z + m[15];
    const across = (m[0] * x + m[1] * y + m[2] * z + m[3]) / w;
    const up = (m[4] * x + m[5] * y + m[6] * z + m[7]) / w;
    return [((across + 1) * width) / 2, ((1 - up) * height) / 2, 1 / w];
  };
}
