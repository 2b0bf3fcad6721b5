// Adds live updates and small comforts to the pages. Every page works without this script.

const xsrf = document.querySelector("meta[name=xsrf]")?.content ?? "";

// Keeps the part of the address after #, which browsers send to no server, for what opens after a login or a start.
// Browsers keep it through redirects. A place in this page ("Skip to main content") is not meant for others.
const hash = document.getElementById(location.hash.slice(1)) ? "" : location.hash;
if (hash) {
  for (const link of document.querySelectorAll("a[href*='next=']")) link.hash = hash;
  for (const form of document.querySelectorAll("form[method=post]")) {
    form.setAttribute("action", form.getAttribute("action") + hash);
  }
}

// Shows times in the reader's language and time zone: those within a week relative to now, others as dates.
const units = [["day", 86400], ["hour", 3600], ["minute", 60]];
const language = document.documentElement.lang;
const words = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
const WEEK = 604_800_000; // milliseconds
function relativeTime(at) {
  const seconds = (at - Date.now()) / 1000;
  const [unit, length] = units.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", Infinity];
  return words.format(Math.trunc(seconds / length), unit);
}
function showRelativeTimes() {
  for (const time of document.querySelectorAll("time[data-relative]")) {
    const at = new Date(time.dateTime);
    const isNear = Math.abs(at - Date.now()) < WEEK;
    time.title = at.toLocaleString(language, { dateStyle: "full", timeStyle: "short" });
    time.textContent = isNear ? relativeTime(at) : at.toLocaleDateString(language, { dateStyle: "medium" });
  }
}
showRelativeTimes();
setInterval(showRelativeTimes, 30_000);

// Adds a button that shows or hides the typed password.
for (const field of document.querySelectorAll("input[data-reveal]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button";
  const group = document.createElement("div");
  group.className = "input-group";
  field.replaceWith(group);
  group.append(field, button);
  const show = (shown) => {
    field.type = shown ? "text" : "password";
    button.textContent = shown ? field.dataset.hide : field.dataset.show;
    button.setAttribute("aria-pressed", String(shown));
    button.setAttribute("aria-label", shown ? field.dataset.hidePassword : field.dataset.showPassword);
  };
  button.addEventListener("click", () => show(field.type === "password"));
  field.form?.addEventListener("submit", () => show(false));
  show(false);
}

// Compares the two password fields.
for (const repeated of document.querySelectorAll("input[data-same-as]")) {
  const first = document.getElementById(repeated.dataset.sameAs);
  const compare = () => repeated.setCustomValidity(repeated.value === first.value ? "" : repeated.dataset.differ);
  first.addEventListener("input", compare);
  repeated.addEventListener("input", compare);
}

// Copies a value that is shown only once. Without https or localhost there is no clipboard: the text is selected.
for (const button of document.querySelectorAll("button[data-copy]")) {
  const field = document.getElementById(button.dataset.copy);
  field.addEventListener("focus", () => field.select());
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    field.select();
    await navigator.clipboard.writeText(field.value);
    button.textContent = button.dataset.copied;
  });
}

// Polls servers that are starting or stopping, and replaces each one when its state has changed.
const pendingServers = () => [...document.querySelectorAll("[data-phase=spawn], [data-phase=stop]")];
const request = (url, kind) => fetch(url, { headers: { "X-XSRFToken": xsrf, Accept: kind } });

async function hasChanged(item) {
  const answer = await request(item.dataset.api, "application/json");
  if (!answer.ok) return false;
  const name = item.dataset.server.slice(item.dataset.server.lastIndexOf("/") + 1);
  const server = (await answer.json()).servers?.[name];
  const phase = server?.ready ? "ready" : server?.pending ?? "";
  return phase !== item.dataset.phase;
}

const stateOf = (item) => item.querySelector(".state")?.textContent;

async function refreshServers(items) {
  // A page that answered a form cannot be fetched from the form's address: fetch the page it belongs to.
  const own = document.querySelector("[data-own-page]")?.dataset.ownPage; // of a page that no navigation names
  const home = own ? new URL(own, location).href : document.querySelector("nav [aria-current]").href;
  const here = location.href.split("#")[0];
  const answer = await request(here.split("?")[0] === home ? here : home, "text/html");
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = new Map([...page.querySelectorAll("[data-server]")].map((item) => [item.dataset.server, item]));
  const news = [];
  for (const item of items) {
    const after = fresh.get(item.dataset.server);
    if (!after) {
      if (fresh.size && !item.contains(document.activeElement)) item.remove(); // deleted in another tab
      continue;
    }
    const isNews = after.dataset.phase !== item.dataset.phase || stateOf(after) !== stateOf(item);
    // What somebody works with stays, until there is news.
    if (!isNews && (item.contains(document.activeElement) || item.querySelector("details[open]"))) continue;
    if (isNews) news.push(`${item.dataset.called}: ${stateOf(after)}`);
    item.replaceWith(after);
  }
  const needs = document.getElementById("needs"), freshNeeds = page.getElementById("needs");
  if (needs && freshNeeds && !needs.contains(document.activeElement) && !needs.querySelector("details[open]")) {
    needs.replaceWith(freshNeeds);
  }
  showRelativeTimes();
  document.dispatchEvent(new Event("servers-shown"));
  if (news.length) document.getElementById("live-news").textContent = news.join(". ");
  pollWhilePending();
}
document.addEventListener("servers-asked", (event) => refreshServers(event.detail).catch(() => {}));

async function poll() {
  const items = document.hidden || document.body.hasAttribute("data-live") ? [] : pendingServers();
  const changed = await Promise.all(items.map(hasChanged));
  if (changed.includes(true)) await refreshServers(items.filter((_, index) => changed[index]));
}

let isPolling = false;
async function pollWhilePending() {
  if (isPolling) return;
  isPolling = true;
  while (pendingServers().length) {
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await poll().catch(() => {}); // the hub does not answer at the moment: try again
  }
  isPolling = false;
}
pollWhilePending();

// Prints what is shown only once.
for (const button of document.querySelectorAll("button[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}
