// Adds to the table of users: search as you type, and "select all on this page". The table works without this script.

const xsrf = document.querySelector("meta[name=xsrf]").content; // scripts must send it with a read, too
const filter = document.getElementById("filter");
const field = document.getElementById("name_filter");
let asked = null; // of the newest search: a later one ends it, so no old answer replaces a new one
let pause = 0;

function address() {
  const fields = [...new FormData(filter)].filter(([name, value]) => value || name === "columns");
  return `${filter.getAttribute("action")}?${new URLSearchParams(fields)}`;
}

async function search() {
  asked?.abort();
  const now = (asked = new AbortController());
  const target = address();
  const answer = await fetch(target, { headers: { "X-XSRFToken": xsrf, Accept: "text/html" }, signal: now.signal });
  if (!answer.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("table");
  if (now.signal.aborted || !fresh) return;
  document.getElementById("table").replaceWith(fresh);
  history.replaceState(null, "", target);
  document.getElementById("live-news").textContent = document.getElementById("found").textContent;
  document.dispatchEvent(new Event("servers-shown"));
  prepare();
}

function searchSoon(wait) {
  clearTimeout(pause);
  pause = setTimeout(() => search().catch(() => {}), wait);
}

field.addEventListener("input", () => searchSoon(200));
filter.addEventListener("change", (event) => {
  if (event.target !== field) searchSoon(0);
});

// Shows the box that selects all rows; selecting some turns "whom" back to the selected ones.
function prepare() {
  const all = document.getElementById("all-rows");
  if (!all) return;
  const rows = [...document.querySelectorAll("#table tbody [type=checkbox]")];
  all.hidden = false;
  const count = () => {
    const chosen = rows.filter((one) => one.checked).length;
    all.checked = chosen === rows.length;
    all.indeterminate = chosen > 0 && chosen < rows.length;
  };
  all.addEventListener("change", () => {
    for (const one of rows) one.checked = all.checked;
    document.getElementById("whom").value = "";
    count();
  });
  for (const one of rows) one.addEventListener("change", count);
  const act = document.getElementById("act");
  const group = document.getElementById("of-group");
  const ask = () => group && (group.hidden = act.value !== "add" && act.value !== "remove");
  act.addEventListener("change", ask);
  ask();
  count();
}
prepare();
