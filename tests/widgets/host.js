// The page's half of bridge.py: what JupyterLab does for a widget, as far as a front end can tell.
(() => {
  window.hosted = {};
  const models = {}; // of which a page may show several views
  let polling;

  function bytes(text) {
    const raw = atob(text);
    return new DataView(Uint8Array.from(raw, (character) => character.charCodeAt(0)).buffer);
  }

  function text(buffer) {
    const view = buffer instanceof ArrayBuffer ? new Uint8Array(buffer) : new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    let raw = "";
    for (let i = 0; i < view.length; i += 32768) raw += String.fromCharCode(...view.subarray(i, i + 32768));
    return btoa(raw);
  }

  function deliver(messages) {
    for (const [id, data, buffers] of messages) window.hosted[id]?.(data, buffers);
  }

  function modelOf(id, state) {
    const listeners = {};
    const changed = new Set();
    const fire = (name, ...given) => [...(listeners[name] ?? [])].forEach((call) => call(...given));
    const model = {
      get: (key) => state[key],
      set(key, value) {
        state[key] = value;
        changed.add(key);
        fire(`change:${key}`, model, value);
        fire("change");
      },
      save_changes() {
        const update = Object.fromEntries([...changed].map((key) => [key, state[key]]));
        changed.clear();
        window.toKernel(id, { method: "update", state: update, buffer_paths: [] }, []).then(deliver);
      },
      on: (names, call) => names.split(" ").forEach((name) => (listeners[name] ??= []).push(call)),
      off: (names, call) => names.split(" ").forEach((name) => (listeners[name] = (listeners[name] ?? []).filter((other) => call && other !== call))),
      send: (content, _, buffers = []) => void window.toKernel(id, { method: "custom", content }, buffers.map(text)).then(deliver),
    };
    window.hosted[id] = (data, buffers) => {
      if (data.method === "custom") return fire("msg:custom", data.content, buffers.map(bytes));
      for (const [key, value] of Object.entries(data.state)) {
        state[key] = value;
        fire(`change:${key}`, model, value);
      }
      fire("change");
    };
    return model;
  }

  window.theme = (light) => {
    document.body.dataset.jpThemeLight = String(light);
    document.body.style.setProperty("--page", light ? "#fff" : "#111");
  };

  window.host = async (id, esm, css, state) => {
    const model = (models[id] ??= modelOf(id, state));
    polling ??= setInterval(async () => deliver(await window.fromKernel()), 20);
    document.head.appendChild(document.createElement("style")).textContent = css;
    const loaded = await import(URL.createObjectURL(new Blob([esm], { type: "text/javascript" })));
    await loaded.default.initialize?.({ model });
    const el = document.getElementById("root").appendChild(document.createElement("div"));
    const cleanup = await loaded.default.render({ model, el });
    el.addEventListener("unmount", () => {
      cleanup?.();
      el.remove();
    });
  };
})();
