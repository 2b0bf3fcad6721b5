// Goes on with what is done to many users, batch by batch, and gathers what each answer says. Leaving the page stops it.

const xsrf = document.querySelector("meta[name=xsrf]").content; // the redirect after a batch needs it in a header

async function goOn() {
  const form = document.getElementById("go-on");
  const body = new FormData(form);
  body.set("stays", "1"); // on this page at the end, which has gathered what was refused
  const answer = await fetch(form.action, { method: "POST", body, headers: { "X-XSRFToken": xsrf, Accept: "text/html" } });
  if (!answer.ok) throw new Error(answer.statusText);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.getElementById("progress").replaceWith(page.getElementById("progress"));
  history.replaceState(null, "", answer.url);
  const news = page.querySelectorAll("#refused li");
  const list = document.getElementById("refused");
  if (news.length) list.hidden = false;
  list.querySelector("ul").append(...news);
  prepare();
}

function prepare() {
  const form = document.getElementById("go-on");
  if (!form) return;
  let isBusy = false;
  // After a failure the button tries again: nothing asks the hub by itself over and over.
  const begin = () => {
    if (isBusy) return;
    isBusy = true;
    goOn().catch(() => (isBusy = false));
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    begin();
  });
  if (form.dataset.began !== undefined) begin();
}
prepare();
