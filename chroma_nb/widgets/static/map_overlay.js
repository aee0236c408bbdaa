// What is drawn over the points on a plain canvas: the query with its lines and ranks, labels, the lasso, rings. Text only ever as text.

import { shown } from "./common.js";

const MOST_RANKS = 50;

function haloed(ctx, text, x, y, colors, width = 3) {
  ctx.lineJoin = "round";
  ctx.lineWidth = width;
  ctx.strokeStyle = colors.paper;
  ctx.strokeText(text, x, y);
  ctx.fillStyle = colors.ink;
  ctx.fillText(text, x, y);
}

function ring(ctx, x, y, radius, color, width = 1.5) {
  ctx.beginPath();
  ctx.arc(x, y, radius, 0, 2 * Math.PI);
  ctx.lineWidth = width;
  ctx.strokeStyle = color;
  ctx.stroke();
}

/** Boxes that are taken on the screen; `free` takes one unless another is in its way. */
class Room {
  #taken = [];

  free(x, y, width, height) {
    if (this.#taken.some((other) => x < other[2] && x + width > other[0] && y < other[3] && y + height > other[1])) return false;
    this.#taken.push([x, y, x + width, y + height]);
    return true;
  }
}

function drawLines(ctx, query, colors) {
  const [x, y] = query.at;
  query.hits.forEach(([hitX, hitY], rank) => {
    ctx.globalAlpha = Math.max(0.25, 0.85 - 0.6 * (rank / Math.max(query.hits.length, 10)));
    ctx.beginPath();
    ctx.moveTo(x, y);
    ctx.lineTo(hitX, hitY);
    ctx.lineWidth = rank < 3 ? 1.6 : 1.1;
    ctx.strokeStyle = colors.hit;
    ctx.stroke();
  });
  ctx.globalAlpha = 1;
}

function drawHits(ctx, query, colors, radius, room) {
  for (const [x, y] of query.hits) ring(ctx, x, y, radius, colors.hit, 2);
  ctx.font = `600 11px ${colors.font}`;
  ctx.textBaseline = "middle";
  query.hits.slice(0, MOST_RANKS).forEach(([x, y], rank) => {
    const text = String(rank + 1);
    const width = ctx.measureText(text).width;
    if (!room.free(x + radius + 1, y - 7, width + 4, 13)) return;
    haloed(ctx, text, x + radius + 3, y, { ...colors, ink: colors.hit });
  });
}

/** Where the query's label stands: at the right of its place, or above it where the map ends. */
function titled(ctx, query, colors, room) {
  const [x, y] = query.at;
  ctx.font = `600 12px ${colors.font}`;
  const text = shown(query.label, Math.min(48, Math.floor(colors.width / 9)));
  const width = ctx.measureText(text).width;
  const fits = x + 22 + width < colors.width;
  const left = fits ? x + 16 : Math.max(6, Math.min(colors.width - width - 6, x - width / 2));
  const middle = fits ? y - 12 : y - 24;
  room.free(x - 14, y - 14, 28, 28);
  if (text) room.free(left - 2, middle - 8, width + 6, 16);
  return { text, left, middle };
}

/** The query's place: a diamond, with a dashed ring where the place is only approximate. */
function drawPlace(ctx, query, colors, title) {
  ctx.save();
  ctx.translate(...query.at);
  ctx.beginPath();
  for (const [at, [dx, dy]] of [
    [0, -8],
    [8, 0],
    [0, 8],
    [-8, 0],
  ].entries())
    ctx[at ? "lineTo" : "moveTo"](dx, dy);
  ctx.closePath();
  ctx.lineJoin = "round";
  ctx.lineWidth = 4;
  ctx.strokeStyle = colors.paper;
  ctx.stroke();
  ctx.fillStyle = colors.hit;
  ctx.fill();
  if (query.approximate) {
    ctx.setLineDash([3, 3]);
    ring(ctx, 0, 0, 14, colors.hit, 1.2);
  }
  ctx.restore();
  ctx.font = `600 12px ${colors.font}`;
  if (title.text) haloed(ctx, title.text, title.left, title.middle, colors, 4);
}

/** Draw labels in the order of their importance, and return how many: what has no room is left out, so that more appear as one zooms in. */
function drawLabels(ctx, labels, colors, room) {
  ctx.font = `600 12.5px ${colors.font}`;
  ctx.textBaseline = "middle";
  ctx.textAlign = "center";
  let drawn = 0;
  for (const { text, x, y } of labels) {
    if (x < 0 || y < 0 || x > colors.width || y > colors.height) continue;
    const line = shown(text, 32);
    const width = ctx.measureText(line).width;
    const left = Math.max(6, Math.min(colors.width - width - 6, x - width / 2));
    if (!room.free(left - 6, y - 11, width + 12, 22)) continue;
    haloed(ctx, line, left + width / 2, y, colors, 4);
    drawn++;
  }
  ctx.textAlign = "start";
  return drawn;
}

function drawRegion(ctx, region, colors) {
  if (region.length < 2) return;
  ctx.beginPath();
  region.forEach(([x, y], at) => ctx[at ? "lineTo" : "moveTo"](x, y));
  ctx.closePath();
  ctx.fillStyle = colors.soft;
  ctx.fill("evenodd");
  ctx.lineWidth = 1.5;
  ctx.setLineDash([5, 4]);
  ctx.strokeStyle = colors.accent;
  ctx.stroke();
  ctx.setLineDash([]);
}

/** Draw everything, and return how many labels had room; places are pixels, `query.hits` those of the hits in the order of their ranks. */
export function drawOverlay(ctx, { colors, query, labels, region, hovered, radius }) {
  const room = new Room();
  ctx.textAlign = "start";
  ctx.direction = "ltr";
  if (query) {
    drawLines(ctx, query, colors);
    const title = titled(ctx, query, colors, room);
    drawHits(ctx, query, colors, radius + 2.5, room);
    drawPlace(ctx, query, colors, title);
  }
  const written = drawLabels(ctx, labels, colors, room);
  if (hovered) {
    ring(ctx, ...hovered, radius + 3, colors.paper, 4);
    ring(ctx, ...hovered, radius + 3, colors.ink, 1.6);
  }
  if (region) drawRegion(ctx, region, colors);
  return written;
}
