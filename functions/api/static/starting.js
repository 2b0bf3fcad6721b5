// Follows a start by server-sent events, and counts the seconds of the present step. Texts are inserted as text.
const starting = document.getElementById("starting");
const list = starting.querySelector(".steps");
const bar = starting.querySelector("progress");
const put = (place, text) => { if (place.textContent !== text) place.textContent = text; };
const find = (where) => starting.querySelector(where);
let began = performance.now() - 1000 * list.dataset.seconds;

function words(count, unit) {
  return new Intl.NumberFormat(document.documentElement.lang, { style: "unit", unit, unitDisplay: "long" }).format(count);
}
function count() {
  const place = find("[aria-current] .took");
  const seconds = Math.max(0, Math.floor((performance.now() - began) / 1000));
  const minutes = Math.floor(seconds / 60);
  const rest = seconds % 60;
  const said = [minutes && words(minutes, "minute"), (rest || !minutes) && words(rest, "second")];
  if (place) put(place, said.filter(Boolean).join(" "));
}
setInterval(count, 1000);
count();

function show({ steps, current, seconds, is_late, position, held, message }) {
  began = performance.now() - 1000 * seconds;
  const asked = list.querySelectorAll("li:has(time)").length; // the first entry: when it was asked for
  steps.forEach(([said, took], number) => {
    const entry = list.children[asked + number] ?? list.appendChild(list.lastElementChild.cloneNode(true));
    put(entry.firstElementChild, said);
    put(entry.lastElementChild, took);
    entry.className = number < current ? "done" : "";
    if (number === current) entry.setAttribute("aria-current", "step");
    else entry.removeAttribute("aria-current");
  });
  while (list.children.length > asked + steps.length) list.lastElementChild.remove();
  put(find("[role=status]"), steps[current][0]);
  put(find(".place"), position || held ? message : "");
  if (is_late) put(find(".usually"), find(".usually").dataset.late);
  count();
}

// The part of the address after # is for what opens, unless it is a place in this page.
const hash = document.getElementById(location.hash.slice(1)) ? "" : location.hash;
const source = new EventSource(starting.dataset.progressUrl);
source.addEventListener("message", (message) => {
  const event = JSON.parse(message.data);
  if (event.ready || event.failed) source.close();
  if (event.ready) location.replace(starting.dataset.nextUrl + hash);
  else if (event.failed) location.reload();
  else if (event.steps?.length) show(event);
  bar.value = Math.max(bar.value, event.progress ?? 0);
});
// Otherwise the news that the start was cancelled would load this page again, in place of what the button leads to.
find("form").addEventListener("submit", () => source.close());
// The stream broke off before its last event: reload, the page knows the state.
source.addEventListener("error", () => {
  if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 2000);
});
