// Copies a log by one click. Without https or localhost there is no clipboard: then the browser copies what is selected.

const show = (log) => { for (const button of log.querySelectorAll("[data-copy-log]")) button.hidden = false; };
for (const log of document.querySelectorAll(".log")) show(log);
document.addEventListener("toggle", ({ target }) => { if (target.matches?.(".log")) show(target); }, true); // came later

document.addEventListener("click", async ({ target }) => {
  const button = target.closest?.("[data-copy-log]");
  if (!button) return;
  const lines = button.closest(".log").querySelector("pre");
  getSelection().selectAllChildren(lines);
  if (navigator.clipboard) await navigator.clipboard.writeText(lines.textContent);
  else document.execCommand("copy");
  button.textContent = button.dataset.copied;
});
