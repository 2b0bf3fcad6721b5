// Opens an address after some seconds, with the part after # that the browser was asked for: servers never see it.
// Used by the hub and by the edge's own pages, which come without an address: then it is the hub's page for this path.
const wait = document.querySelector("meta[name=refresh]");
if (wait) {
  const there = wait.dataset.url ?? `/hub${location.pathname}${location.search}`;
  setTimeout(() => location.replace(there + location.hash), 1000 * Number(wait.content));
}
