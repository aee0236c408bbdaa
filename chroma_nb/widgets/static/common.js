// What every front end of this package uses: elements, hostile text, talking to the kernel, themes.

// Control characters (but tab and newline), marks that turn or hide text, tag characters: shown by their code, as in chroma_nb/html.py.
const INVISIBLE =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/gu;

/** Return text in which nothing reorders or hides its surroundings, of at most `limit` characters. */
export function shown(value, limit = Infinity) {
  let text = typeof value === "string" ? value : String(value);
  if (text.length > limit) text = text.slice(0, Math.max(limit - 1, 0)) + "…";
  return text.replace(INVISIBLE, (character) => {
    const code = character.codePointAt(0);
    return code <= 0xff ? `\\x${hex(code, 2)}` : code <= 0xffff ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
  });
}

function hex(code, digits) {
  return code.toString(16).padStart(digits, "0");
}

const ATTRIBUTES = new Set([
  "class", "style", "title", "type", "value", "min", "max", "step", "placeholder", "for", "id", "name", "list", "role", "tabindex", "dir", "lang",
  "disabled", "checked", "selected", "multiple", "rows", "cols", "spellcheck", "autocomplete", "scope", "colspan", "open", "width", "height", "draggable",
]);

/** Return an element. Children are elements or text, which is only ever text; `on...` attributes are listeners. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name.startsWith("aria-") || name.startsWith("data-") || ATTRIBUTES.has(name)) made.setAttribute(name, value === true ? "" : shown(value));
    else throw new Error(`el: <${tag} ${name}> is not an attribute of a display`);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false).map((child) => (child instanceof Node ? child : shown(child))));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

/** Return an icon of 16 pixels, drawn with strokes in the colour of its text; `path` is a constant of ours. */
export function icon(path) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries({ viewBox: "0 0 16 16", width: 16, height: 16, fill: "none", stroke: "currentColor", "stroke-width": 1.5, "stroke-linecap": "round", "stroke-linejoin": "round", "aria-hidden": "true" }))
    svg.setAttribute(name, value);
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

/** Return `call` delayed until it has not been asked for during `milliseconds`. */
export function settled(call, milliseconds) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...given), milliseconds);
  };
}

const TYPES = { float32: Float32Array, float64: Float64Array, int32: Int32Array, uint32: Uint32Array, int16: Int16Array, uint16: Uint16Array, int8: Int8Array, uint8: Uint8Array };

function unpacked(content, buffers) {
  if (!content || !content.arrays) return content ?? {};
  const arrays = {};
  for (const [name, { dtype, shape, at }] of Object.entries(content.arrays)) {
    const bytes = buffers[at];
    // Copied: a view into a message may start at an offset that a typed array cannot.
    const copy = bytes instanceof ArrayBuffer ? bytes : bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
    const array = new TYPES[dtype](copy);
    array.shape = shape;
    arrays[name] = array;
  }
  return { ...content, arrays };
}

/** The page's half of chroma_nb/widgets/channel.py: `ask(kind, content)` -> promise of the answer, `hear(kind, call)` for what is told. */
export class Channel {
  #model;
  #view = crypto.getRandomValues(new Uint32Array(2)).join("-");
  #waiting = new Map();
  #heard = new Map();
  #count = 0;
  #receive = (message, buffers) => this.#received(message, buffers ?? []);

  constructor(model) {
    this.#model = model;
    model.on("msg:custom", this.#receive);
  }

  ask(kind, content = {}, buffers = []) {
    const id = ++this.#count;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#model.send({ ask: kind, id, view: this.#view, content }, undefined, buffers);
    });
  }

  hear(kind, call) {
    this.#heard.set(kind, call);
  }

  close() {
    this.#model.off("msg:custom", this.#receive);
    this.#waiting.clear();
  }

  #received(message, buffers) {
    if (message.tell !== undefined) {
      this.#heard.get(message.tell)?.(unpacked(message.content, buffers));
      return;
    }
    if (message.view !== this.#view) return;
    const waiting = this.#waiting.get(message.answer);
    this.#waiting.delete(message.answer);
    if (message.error !== undefined) waiting?.reject(new Error(message.error));
    else waiting?.resolve(unpacked(message.content, buffers));
  }
}

/** Call `call` only for the newest of overlapping questions: answers that arrive after a later one was asked are dropped. */
export function newest() {
  let last = 0;
  return async (promise, call, failed = () => {}) => {
    const own = ++last;
    try {
      const answer = await promise;
      if (own === last) call(answer);
    } catch (error) {
      if (own === last) failed(error);
    }
  };
}

/** Tell whether `element` stands on a dark page: by Jupyter's or VS Code's word, else by the first background behind it. */
export function isDark(element) {
  const body = document.body;
  if (body.dataset.jpThemeLight) return body.dataset.jpThemeLight === "false";
  if (body.dataset.vscodeThemeKind) return !body.dataset.vscodeThemeKind.endsWith("light");
  for (let at = element; at; at = at.parentElement ?? at.getRootNode().host) {
    const [red, green, blue, alpha = 1] = getComputedStyle(at).backgroundColor.match(/[\d.]+/g)?.map(Number) ?? [0, 0, 0, 0];
    if (alpha > 0.5) return 0.299 * red + 0.587 * green + 0.114 * blue < 128;
  }
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

/** Keep `root` in the theme of its page (attribute data-theme: "light" or "dark") and call `changed` when it changes; returns what ends that. */
export function followTheme(root, changed = () => {}) {
  const look = () => {
    const theme = isDark(root.parentElement ?? document.body) ? "dark" : "light";
    if (root.dataset.theme === theme) return;
    root.dataset.theme = theme;
    changed(theme);
  };
  const observer = new MutationObserver(settled(look, 50));
  for (const element of [document.documentElement, document.body])
    observer.observe(element, { attributes: true, attributeFilter: ["class", "style", "data-jp-theme-light", "data-jp-theme-name", "data-vscode-theme-kind", "theme"] });
  const media = matchMedia("(prefers-color-scheme: dark)");
  media.addEventListener("change", look);
  look();
  // A view may be rendered before it is attached to its page.
  const timers = [setTimeout(look, 0), setTimeout(look, 500)];
  return () => {
    observer.disconnect();
    media.removeEventListener("change", look);
    timers.forEach(clearTimeout);
  };
}

/** Put text on the clipboard, also where the page may not use the newer interface (insecure origins, frames). */
export async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.body.appendChild(el("textarea", { style: "position:fixed;opacity:0" }));
    area.value = text;
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

/** Keep keys typed inside `root` from the notebook, whose one-letter commands would delete or move cells. */
export function keepKeys(root) {
  root.dataset.lmSuppressShortcuts = "true";
  for (const kind of ["keydown", "keypress", "keyup"]) root.addEventListener(kind, (event) => event.stopPropagation());
}
