// What the pages do beyond forms and links. Every page works without this.

const xsrf = document.querySelector("meta[name=xsrf]")?.content ?? "";

// Instants in the reader's own words and time zone.
const units = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60]];
function inWords(at) {
  const seconds = (at - Date.now()) / 1000;
  const words = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
  for (const [unit, length] of units) {
    if (Math.abs(seconds) >= length) return words.format(Math.trunc(seconds / length), unit);
  }
  return words.format(0, "second");
}
for (const time of document.querySelectorAll("time[data-relative]")) {
  const at = new Date(time.dateTime);
  time.title = at.toLocaleString();
  time.textContent = inWords(at);
}

// A button that shows what is typed into a password field.
for (const field of document.querySelectorAll("input[data-reveal]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button";
  const together = document.createElement("div");
  together.className = "together";
  field.replaceWith(together);
  together.append(field, button);
  const show = (shown) => {
    field.type = shown ? "text" : "password";
    button.textContent = shown ? "Hide" : "Show";
    button.setAttribute("aria-pressed", String(shown));
    button.setAttribute("aria-label", shown ? "Hide the password" : "Show the password");
  };
  button.addEventListener("click", () => show(field.type === "password"));
  field.form?.addEventListener("submit", () => show(false));
  show(false);
}

// The same password twice.
for (const again of document.querySelectorAll("input[data-same-as]")) {
  const first = document.getElementById(again.dataset.sameAs);
  const compare = () => again.setCustomValidity(again.value === first.value ? "" : "The two passwords differ");
  first.addEventListener("input", compare);
  again.addEventListener("input", compare);
}

// Copying what is shown only once.
for (const button of document.querySelectorAll("button[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const field = document.getElementById(button.dataset.copy);
    field.select();
    await navigator.clipboard.writeText(field.value);
    button.textContent = "Copied";
  });
}

// A start, followed as it happens. What the hub says is text and never HTML.
const starting = document.getElementById("starting");
if (starting) {
  const bar = starting.querySelector("progress");
  const steps = starting.querySelector(".steps");
  let last = steps.lastElementChild?.textContent ?? "";
  const source = new EventSource(starting.dataset.progressUrl);
  source.addEventListener("message", (message) => {
    const event = JSON.parse(message.data);
    if (event.ready) {
      source.close();
      location.replace(starting.dataset.nextUrl);
      return;
    }
    if (event.failed) {
      source.close();
      location.reload();
      return;
    }
    bar.value = Math.max(bar.value, event.progress ?? 0);
    if (event.message && event.message !== last) {
      const step = document.createElement("li");
      step.textContent = last = event.message;
      steps.append(step);
    }
  });
  // The stream ended without an end: look at the page anew, which knows.
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 2000);
  });
}

// Servers that are on their way: the page is shown anew once one has arrived.
const busy = [...document.querySelectorAll("[data-server]")].filter((s) => ["spawn", "stop"].includes(s.dataset.phase));
async function look() {
  if (document.hidden) return;
  for (const item of busy) {
    const answer = await fetch(item.dataset.api, { headers: { "X-XSRFToken": xsrf, Accept: "application/json" } });
    if (!answer.ok) continue;
    const name = item.dataset.server.slice(item.dataset.server.lastIndexOf("/") + 1);
    const server = (await answer.json()).servers?.[name];
    const phase = server ? (server.ready ? "ready" : server.pending ?? "") : "";
    if (phase !== item.dataset.phase) {
      location.reload();
      return;
    }
  }
}
if (busy.length) setInterval(() => look().catch(() => {}), 1500);
