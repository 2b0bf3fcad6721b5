// Counts down to the stop of servers, and shows what has become of servers while the page was open.

const COUNTDOWN = 10 * 60, ASK_EVERY = 30; // seconds

function showCountdowns() {
  const words = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto" });
  for (const time of document.querySelectorAll("time[data-countdown]")) {
    const at = new Date(time.dateTime);
    const left = Math.max(0, Math.ceil((at - Date.now()) / 1000));
    const minutes = Math.round(left / 60), hours = Math.round(left / 3600);
    const [number, unit] = minutes < 90 ? [minutes, "minute"] : hours < 48 ? [hours, "hour"] : [Math.round(hours / 24), "day"];
    const isSoon = left <= COUNTDOWN;
    const text = isSoon ? `${Math.trunc(left / 60)}:${String(left % 60).padStart(2, "0")}` : words.format(number, unit);
    if (time.textContent === text) continue;
    time.textContent = text;
    time.title = at.toLocaleString();
    time.closest("[data-stops]").classList.toggle("soon", isSoon);
  }
}
showCountdowns();
setInterval(showCountdowns, 1000);
document.addEventListener("servers-shown", showCountdowns);

// A stop that is near may be put off by work, or happen: ask now and then, and when somebody looks at the page again.
const ask = (items) => items.length && document.dispatchEvent(new CustomEvent("servers-asked", { detail: items }));
const isNear = (item) => new Date(item.querySelector("[data-stops]").dataset.stops) - Date.now() <= COUNTDOWN * 1000;
let askedAt = Date.now();
function askAll() {
  if (document.hidden || Date.now() - askedAt < ASK_EVERY * 1000) return;
  askedAt = Date.now();
  ask([...document.querySelectorAll("[data-server]")]);
}
document.addEventListener("visibilitychange", askAll);
setInterval(() => {
  if (!document.hidden) ask([...document.querySelectorAll("[data-server]:has([data-stops])")].filter(isNear));
}, ASK_EVERY * 1000);

// Follows the servers by a stream while somebody looks at the page. Without one, hubless.js polls.
const news = document.querySelector("[data-changes]");
const versionOf = (versions, item) => versions[item.dataset.server.slice(item.dataset.server.lastIndexOf("/") + 1)] ?? "";
const isLive = (yes) => document.body.toggleAttribute("data-live", yes);
let source = null;
function follow() {
  if (document.hidden || source?.readyState === EventSource.CLOSED) return; // a hub without room answers once
  if (source) return;
  source = new EventSource(news.dataset.changes);
  source.addEventListener("open", () => isLive(true));
  source.addEventListener("error", () => isLive(false));
  source.addEventListener("message", (message) => {
    const versions = JSON.parse(message.data);
    ask([...document.querySelectorAll("[data-server]")].filter((item) => versionOf(versions, item) !== item.dataset.version));
  });
}
function leave() {
  isLive(false);
  if (source?.readyState !== EventSource.CLOSED) {
    source?.close();
    source = null;
  }
}
if (news) {
  follow();
  document.addEventListener("visibilitychange", () => (document.hidden ? leave() : follow()));
  addEventListener("pagehide", leave);
  addEventListener("pageshow", follow);
}
