// Draws the points on a plain canvas where there is no WebGL2: the same places and colours, without speed.

import { projector } from "./map_camera.js";
import { DIM, HOLLOW } from "./map_points.js";

export class FlatScene {
  kind = "2d";
  #picture = null;

  constructor(canvas, points) {
    Object.assign(this, { canvas, points });
    this.context = canvas.getContext("2d");
  }

  changed() {}

  show(picture) {
    this.#picture = picture;
  }

  draw(how) {
    const { context, canvas, points } = this;
    context.clearRect(0, 0, canvas.width, canvas.height);
    // The projection wants a camera; a matrix and a size are all it takes from one.
    const project = projector({ matrix: () => how.matrix, width: canvas.width, height: canvas.height });
    if (this.#picture && how.picture > 0) this.#drawPicture(project, how.picture);
    const dot = (slot) => {
      const [x, y, near] = project(...points.place(slot, how.share));
      const dim = points.looks[slot] & DIM || (how.focus >= 0 && points.codes[slot] !== how.focus);
      const side = Math.max(1, (points.diameters?.[slot] ?? how.diameter) * how.scale * near);
      const color = points.palette.subarray(3 * points.codes[slot], 3 * points.codes[slot] + 3);
      context.globalAlpha = dim ? how.dimmed : how.opacity;
      context.fillStyle = context.strokeStyle = `rgb(${color.join(",")})`;
      if (side < 3) return context.fillRect(x - side / 2, y - side / 2, side, side);
      context.beginPath();
      context.arc(x, y, side / 2, 0, 2 * Math.PI);
      if (points.looks[slot] & HOLLOW) context.stroke();
      else context.fill();
    };
    if (how.points) for (let slot = 0; slot < points.held; slot++) dot(slot);
    points.raised.forEach(dot);
    context.globalAlpha = 1;
  }

  #drawPicture(project, opacity) {
    const { image, box } = this.#picture;
    const [left, bottom] = box ? project(box[0], box[1], 0) : [0, this.canvas.height];
    const [right, top] = box ? project(box[2], box[3], 0) : [this.canvas.width, 0];
    this.context.globalAlpha = opacity;
    this.context.drawImage(image, left, top, right - left, bottom - top);
  }

  close() {}
}
