// Pictures of all points that the kernel paints, for the density view and for maps of which the page holds a sample.

/** How far a picture of a flat map reaches beyond what is seen, so that one can move a little before the next arrives. */
const MARGIN = 0.15;

/** Return a function that asks for a picture of what `view` shows, if it shows any; answers to what is seen no more are dropped. */
export function pictureAsker(view, ask) {
  let last = 0;
  return async () => {
    const { camera, frame } = view;
    if (!view.points.count || camera.width < 2 || !(view.density || view.sampled)) return;
    const own = ++last;
    const margin = camera.flat ? MARGIN : 0;
    const [width, height] = [camera.width, camera.height];
    const { places, matrix } = view.ofKernel([
      [-margin * width, (1 + margin) * height],
      [(1 + margin) * width, -margin * height],
    ]);
    const size = { width: Math.round(width * (1 + 2 * margin)), height: Math.round(height * (1 + 2 * margin)) };
    const answer = await ask("picture", { ...size, box: places.flat(), matrix, density: view.density }).catch(() => null);
    if (!answer || own !== last) return;
    const image = await createImageBitmap(new Blob([answer.arrays.file], { type: "image/png" }));
    if (own !== last || view.closed) return;
    view.setPicture({ image, box: matrix ? null : places.flatMap(([x, y]) => frame.toMap([x, y, frame.center[2]]).slice(0, 2)) });
  };
}
