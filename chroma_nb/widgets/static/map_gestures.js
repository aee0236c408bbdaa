// Pointer, wheel and keys on the map: what a movement means. What it does is up to `act`.

const STILL = 4;
const FINEST = 3;

function modifiers(event) {
  return ["shift", "alt", "ctrl", "meta"].filter((name) => event[`${name}Key`]);
}

/** What a region drawn with these keys held does to the selection. */
function modeOf(event) {
  return event.altKey ? "remove" : event.shiftKey ? "add" : "replace";
}

function boxed([x0, y0], [x1, y1]) {
  return [
    [x0, y0],
    [x1, y0],
    [x1, y1],
    [x0, y1],
  ];
}

/**
 * Listen to `stage`, a focusable element. `act` has: tool() -> "pan" | "lasso" | "box", flat(), move(dx, dy, turning), zoom(x, y, factor, smooth),
 * region(points | null), select(points, mode), hover(x, y), leave(), click(x, y, modifiers), key(name) -> whether it means something, hint().
 */
export function listen(stage, act) {
  const pointers = new Map();
  let drag = null;
  let dragged = false;

  const at = (event) => {
    const box = stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  function down(event) {
    if (event.target.closest("button, input, select, a")) return;
    stage.focus({ preventScroll: true });
    if (event.button > 1) return;
    stage.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, at(event));
    dragged = false;
    if (pointers.size === 2) {
      act.region(null);
      drag = { kind: "pinch" };
      return;
    }
    const region = event.button === 0 && (act.tool() !== "pan" || event.shiftKey || event.altKey);
    const kind = !region ? "move" : act.tool() === "box" ? "box" : "lasso";
    drag = {
      kind,
      start: at(event),
      last: at(event),
      points: [at(event)],
      mode: modeOf(event),
      turning: event.button === 0 && !event.ctrlKey && !event.metaKey,
    };
    if (event.button === 1) event.preventDefault();
  }

  function pinch(event) {
    const [first, second] = [...pointers.values()];
    const before = [(first[0] + second[0]) / 2, (first[1] + second[1]) / 2, Math.hypot(first[0] - second[0], first[1] - second[1])];
    pointers.set(event.pointerId, at(event));
    const [one, other] = [...pointers.values()];
    const after = [(one[0] + other[0]) / 2, (one[1] + other[1]) / 2, Math.hypot(one[0] - other[0], one[1] - other[1])];
    act.move(after[0] - before[0], after[1] - before[1], false);
    act.zoom(after[0], after[1], after[2] / (before[2] || 1), false);
  }

  function move(event) {
    const place = at(event);
    if (!drag) {
      if (event.pointerType !== "touch") act.hover(...place);
      return;
    }
    if (drag.kind === "pinch") {
      dragged = true;
      if (pointers.size === 2 && pointers.has(event.pointerId)) pinch(event);
      return;
    }
    if (!dragged && Math.hypot(place[0] - drag.start[0], place[1] - drag.start[1]) < STILL) return;
    if (!dragged) act.leave();
    dragged = true;
    if (drag.kind === "move") act.move(place[0] - drag.last[0], place[1] - drag.last[1], drag.turning);
    drag.last = place;
    if (drag.kind === "lasso") {
      // A fast hand moves further than one event a frame tells.
      for (const each of event.getCoalescedEvents?.().map(at) ?? [place]) {
        const last = drag.points[drag.points.length - 1];
        if (Math.hypot(each[0] - last[0], each[1] - last[1]) >= FINEST) drag.points.push(each);
      }
      act.region(drag.points);
    } else if (drag.kind === "box") act.region(boxed(drag.start, place));
  }

  function up(event) {
    pointers.delete(event.pointerId);
    if (!drag || (drag.kind === "pinch" && pointers.size)) return;
    const { kind, points, start, last, mode } = drag;
    drag = null;
    if (dragged && kind === "lasso" && points.length > 2) act.select(points, mode);
    else if (dragged && kind === "box") act.select(boxed(start, last), mode);
    act.region(null);
  }

  function cancel(event) {
    pointers.delete(event.pointerId);
    drag = null;
    act.region(null);
  }

  function click(event) {
    if (dragged || event.detail > 1 || event.target.closest("button, input, select, a")) return;
    act.click(...at(event), modifiers(event));
  }

  function double(event) {
    if (!event.target.closest("button, input, select, a")) act.zoom(...at(event), event.shiftKey ? 0.5 : 2, true);
  }

  function wheel(event) {
    const held = event.ctrlKey || event.metaKey;
    // The page scrolls on until its reader has turned to the map.
    if (!held && !stage.contains(stage.getRootNode().activeElement)) {
      act.hint();
      return;
    }
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
    // A pinch on a trackpad comes as small steps of a wheel with ctrl.
    act.zoom(...at(event), Math.exp(-event.deltaY * lines * (event.ctrlKey && Math.abs(event.deltaY) < 30 ? 0.01 : 0.002)), false);
  }

  function key(event) {
    if (event.target !== stage || event.ctrlKey || event.metaKey) return;
    if (event.key === "Escape" && drag) cancel({});
    else if (!act.key(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  const heard = {
    pointerdown: down,
    pointermove: move,
    pointerup: up,
    pointercancel: cancel,
    click,
    dblclick: double,
    keydown: key,
    pointerleave: () => drag ?? act.leave(),
  };
  for (const [name, call] of Object.entries(heard)) stage.addEventListener(name, call);
  stage.addEventListener("wheel", wheel, { passive: false });
}

/** Let a hand drag `grip` to change the height of `stage`; `done` is told the height it was given. */
export function resizable(grip, stage, shortest, done) {
  let from = null;
  grip.addEventListener("pointerdown", (event) => {
    from = { y: event.clientY, height: stage.clientHeight };
    grip.setPointerCapture(event.pointerId);
  });
  grip.addEventListener("pointermove", (event) => {
    if (from) stage.style.height = `${Math.max(shortest, from.height + event.clientY - from.y)}px`;
  });
  for (const end of ["pointerup", "pointercancel"])
    grip.addEventListener(end, () => {
      if (from) done(stage.clientHeight);
      from = null;
    });
}
