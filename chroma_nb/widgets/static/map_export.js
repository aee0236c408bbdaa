// The map as a picture to keep: points, lines, labels and legend on one canvas.

import { el, shown } from "./common.js";

const ROW = 18;

function drawLegend(ctx, legend, left, top, colors) {
  ctx.font = `12px ${colors.font}`;
  ctx.textBaseline = "middle";
  ctx.direction = "ltr";
  let y = top + ROW / 2;
  const write = (text, x) => {
    ctx.fillStyle = colors.ink;
    ctx.fillText(shown(text, 26), x, y);
  };
  if (legend.title) {
    ctx.font = `600 12px ${colors.font}`;
    write(legend.title, left);
    ctx.font = `12px ${colors.font}`;
    y += ROW + 4;
  }
  if (legend.stops) {
    const height = 140;
    const ramp = ctx.createLinearGradient(0, y + height, 0, y);
    legend.stops.forEach((color, at) => ramp.addColorStop(at / (legend.stops.length - 1), color));
    ctx.fillStyle = ramp;
    ctx.fillRect(left, y, 12, height);
    const bottom = y + height;
    for (const [share, text] of legend.ticks) {
      y = bottom - share * height;
      write(text, left + 20);
    }
    y = bottom + ROW;
  }
  for (const { name, color, count } of legend.entries ?? []) {
    ctx.fillStyle = color;
    ctx.beginPath();
    ctx.arc(left + 5, y, 5, 0, 2 * Math.PI);
    ctx.fill();
    write(`${shown(name, 18)}  ${count.toLocaleString("en")}`, left + 17);
    y += ROW;
  }
}

/** Return a canvas with all that `view` shows and the legend at its right. */
export function pictureOf(view, legend, colors) {
  const { under, over } = view;
  const ratio = under.width / view.camera.width;
  const has = legend && (legend.stops || legend.entries?.length);
  const canvas = el("canvas", {
    width: String(under.width + (has ? Math.round(200 * ratio) - Math.round(view.camera.inset * ratio) : 0)),
    height: String(under.height),
  });
  const ctx = canvas.getContext("2d");
  ctx.fillStyle = colors.paper;
  ctx.fillRect(0, 0, canvas.width, canvas.height);
  ctx.drawImage(under, 0, 0);
  ctx.drawImage(over, 0, 0);
  ctx.scale(ratio, ratio);
  if (has) drawLegend(ctx, legend, canvas.width / ratio - 190, 14, colors);
  return canvas;
}

/** Offer a canvas as a download. */
export async function download(canvas, name) {
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  const address = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
