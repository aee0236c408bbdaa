// A row of tabs. The kernel's half is chroma_nb/widgets/tabs.py.

import { Channel, el, followTheme, keepKeys } from "./common.js";

const STEPS = { ArrowLeft: -1, ArrowRight: 1 };

export default {
  render({ model, el: host }) {
    const channel = new Channel(model);
    const root = el("div", { class: "cnb cnb-tabs", role: "tablist" });
    host.append(root);
    const unfollow = followTheme(root);
    keepKeys(root);
    let tabs = [];

    const choose = (name) => channel.ask("choose", { name }).catch((error) => (root.title = error.message));

    function step(event) {
      if (!(event.key in STEPS)) return;
      const at = tabs.findIndex(([name]) => name === event.target.dataset.name);
      const next = tabs[(at + STEPS[event.key] + tabs.length) % tabs.length];
      root.querySelector(`[data-name="${next[0]}"]`).focus();
      choose(next[0]);
    }

    function show(state) {
      tabs = state.tabs;
      root.setAttribute("aria-label", state.label);
      const focused = root.contains(document.activeElement) || root.contains(root.getRootNode().activeElement);
      root.replaceChildren(
        ...tabs.map(([name, label, count]) => {
          const chosen = name === state.chosen;
          const number = count === null ? null : el("span", { class: "cnb-tabs-count" }, count.toLocaleString("en"));
          const attributes = { type: "button", role: "tab", "aria-selected": String(chosen), tabindex: chosen ? "0" : "-1", "data-name": name };
          return el("button", { ...attributes, onclick: () => choose(name), onkeydown: step }, label, number);
        }),
      );
      if (focused) root.querySelector('[aria-selected="true"]')?.focus();
    }

    channel.hear("state", show);
    channel.ask("state").then(show, () => {});
    return () => {
      unfollow();
      channel.close();
    };
  },
};
