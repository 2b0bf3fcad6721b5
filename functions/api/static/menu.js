// Closes menus by Escape and by a click elsewhere, switches the theme at once, and tells screen readers what a form did.
// Everything works without this script.

const openMenus = () => document.querySelectorAll("details.menu[open]");

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of openMenus()) {
    const hadFocus = menu.contains(document.activeElement);
    menu.open = false;
    if (hadFocus) menu.querySelector("summary").focus();
  }
});
document.addEventListener("click", (event) => {
  for (const menu of openMenus()) if (!menu.contains(event.target)) menu.open = false;
});

const themes = document.querySelectorAll("button[name=theme]");
for (const button of themes) {
  button.addEventListener("click", (event) => {
    event.preventDefault();
    const root = document.documentElement;
    if (button.value === "system") delete root.dataset.theme;
    else root.dataset.theme = button.value;
    for (const other of themes) other.setAttribute("aria-pressed", String(other === button));
    const body = new URLSearchParams(new FormData(button.form));
    body.set("theme", button.value);
    fetch(button.form.action, { method: "POST", body, redirect: "manual" }).catch(() => {}); // kept at the next click
  });
}

// On phones the admin pages are one line that scrolls.
const here = document.querySelector(".sections [aria-current]");
if (here) here.closest("ul").scrollLeft = here.offsetLeft - innerWidth / 3;

// Screen readers speak what changes in a page, not what it comes with.
const flash = document.querySelector("[data-flash]");
if (flash) setTimeout(() => { document.getElementById("announcements").textContent = flash.textContent; }, 200);
