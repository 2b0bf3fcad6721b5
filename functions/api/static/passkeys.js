// Lets the forms of passkeys ask an authenticator, and sends its answer. Without this script those forms stay hidden.

const forms = [...document.querySelectorAll("form[data-passkey]")];
let waiting = null; // the request that offers passkeys in the field of the username

const toBytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
function toText(bytes) {
  const letters = Array.from(new Uint8Array(bytes), (byte) => String.fromCharCode(byte)).join("");
  return btoa(letters).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function optionsOf(form) {
  const options = JSON.parse(form.dataset.options);
  options.challenge = toBytes(options.challenge);
  if (options.user) options.user.id = toBytes(options.user.id);
  for (const list of [options.allowCredentials, options.excludeCredentials]) {
    for (const one of list ?? []) one.id = toBytes(one.id);
  }
  return options;
}

function answerOf(credential) {
  const response = {};
  for (const part of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[part]) response[part] = toText(credential.response[part]);
  }
  return JSON.stringify({ id: credential.id, rawId: toText(credential.rawId), type: credential.type, response });
}

// The page says what went wrong in the reader's language: data-invalid-state-error, and so on.
function wordsOf(error, form) {
  return form.dataset[error.name[0].toLowerCase() + error.name.slice(1)] ?? form.dataset.failed;
}

async function ask(form, more = {}) {
  const publicKey = optionsOf(form);
  const credential = await navigator.credentials[form.dataset.passkey]({ publicKey, ...more });
  form.elements.answer.value = answerOf(credential);
  form.submit();
}

async function offerInField(form) {
  if (!await PublicKeyCredential.isConditionalMediationAvailable?.()) return;
  waiting = new AbortController();
  await ask(form, { mediation: "conditional", signal: waiting.signal }).catch(() => {});
}

if (window.PublicKeyCredential) {
  for (const missing of document.querySelectorAll("[data-passkey-missing]")) missing.hidden = true;
  for (const form of forms) {
    form.hidden = false;
    const error = form.querySelector("[data-passkey-error]");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      waiting?.abort(); // a browser asks for one thing at a time
      error.hidden = true;
      ask(form).catch((problem) => {
        error.textContent = wordsOf(problem, form);
        error.hidden = false;
      });
    });
    if ("conditional" in form.dataset) offerInField(form);
  }
}
