// What the pages do beyond forms and links. Every page works without this.

const xsrf = document.querySelector("meta[name=xsrf]")?.content ?? "";

// Instants in the reader's own words and time zone.
const units = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60]];
const words = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto" });
function inWords(at) {
  const seconds = (at - Date.now()) / 1000;
  const [unit, length] = units.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", Infinity];
  return words.format(Math.trunc(seconds / length), unit);
}
function tellTimes() {
  for (const time of document.querySelectorAll("time[data-relative]")) {
    const at = new Date(time.dateTime);
    time.title = at.toLocaleString();
    time.textContent = inWords(at);
  }
}
tellTimes();
setInterval(tellTimes, 30_000);

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

// Copying what is shown only once. Browsers lend the clipboard to https and localhost; elsewhere it stays selected.
for (const button of document.querySelectorAll("button[data-copy]")) {
  const field = document.getElementById(button.dataset.copy);
  field.addEventListener("focus", () => field.select());
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
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

// Servers that are on their way: each is shown anew once it has arrived, and the rest of the page is left alone.
const onTheirWay = () => [...document.querySelectorAll("[data-phase=spawn], [data-phase=stop]")];
const ask = (url, kind) => fetch(url, { headers: { "X-XSRFToken": xsrf, Accept: kind } });

async function hasArrived(item) {
  const answer = await ask(item.dataset.api, "application/json");
  if (!answer.ok) return false;
  const name = item.dataset.server.slice(item.dataset.server.lastIndexOf("/") + 1);
  const server = (await answer.json()).servers?.[name];
  const phase = server?.ready ? "ready" : server?.pending ?? "";
  return phase !== item.dataset.phase;
}

async function showAnew(items) {
  // A page that answered a form is not asked for again under the form's address.
  const home = document.querySelector("nav [aria-current]").href;
  const here = location.href.split("#")[0];
  const answer = await ask(here.split("?")[0] === home ? here : home, "text/html");
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = new Map([...page.querySelectorAll("[data-server]")].map((item) => [item.dataset.server, item]));
  const news = [];
  for (const item of items) {
    const after = fresh.get(item.dataset.server);
    if (!after) continue;
    news.push(`${item.dataset.called}: ${after.querySelector(".state").textContent}`);
    item.replaceWith(after);
  }
  tellTimes();
  document.getElementById("live-news").textContent = news.join(". ");
}

async function look() {
  const items = document.hidden ? [] : onTheirWay();
  const arrived = await Promise.all(items.map(hasArrived));
  if (arrived.includes(true)) await showAnew(items.filter((_, index) => arrived[index]));
}

async function keepLooking() {
  while (onTheirWay().length) {
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await look().catch(() => {}); // the hub is away for a moment: look again
  }
}
keepLooking();
