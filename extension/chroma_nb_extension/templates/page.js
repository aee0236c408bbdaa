"use strict";
// The page works without this. It adds buttons that copy, and writes the address the browser sees into the snippets: a proxy in front
// may speak https where Jupyter itself speaks http.
const said = document.body.dataset.origin;
if (said !== location.origin) {
  for (const node of document.querySelectorAll("pre code, dd.mono")) {
    const [there, here] = [new URL(said), location];
    node.textContent = node.textContent
      .replaceAll(said, here.origin)
      .replaceAll(`"${there.host}/`, `"${here.host}/`)
      .replace(/^ {2}port: \d+,$/m, `  port: ${here.port || (here.protocol === "https:" ? 443 : 80)},`)
      .replace(/^ {2}ssl: \w+,$/m, `  ssl: ${here.protocol === "https:"},`);
  }
}
const announced = document.createElement("p");
announced.className = "unseen";
announced.setAttribute("role", "status");
document.body.append(announced);
for (const button of document.querySelectorAll("button.copy")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = announced.textContent = "Copied";
    } catch {
      // Without https there is no clipboard: select, and leave the rest to the keyboard.
      getSelection().selectAllChildren(code);
      button.textContent = announced.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; announced.textContent = ""; }, 1600);
  });
}
