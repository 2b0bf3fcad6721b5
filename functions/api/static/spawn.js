// Keeps the options of profiles that are not chosen out of the form, so that the browser checks and sends no others.
const profiles = document.querySelectorAll("[data-profile]");

function enableChosen() {
  for (const profile of profiles) {
    const radio = profile.querySelector("[name=profile]");
    const options = profile.querySelector(".options");
    if (options) options.disabled = radio.type === "radio" && !radio.checked;
  }
}

for (const profile of profiles) profile.addEventListener("change", enableChosen);
addEventListener("pageshow", enableChosen); // also after the Back button, which restores what was chosen
enableChosen();

// Whoever types an own text means it.
for (const field of document.querySelectorAll(".unlisted")) {
  field.addEventListener("input", () => {
    field.closest("fieldset").querySelector("[value=unlisted-choice]").checked = field.value !== "";
  });
}

// Says what an hour costs as options are chosen: the last one that sets a price counts.
function showPrice(profile) {
  const shown = profile.querySelector("[data-price]");
  if (!shown) return;
  let price = shown.dataset.price;
  for (const field of profile.querySelectorAll("[data-amount]")) {
    if (field.type === "number" ? !field.validity.valid : !field.checked) continue;
    price = field.dataset.amount * ("each" in field.dataset ? field.value : 1);
  }
  if (price === "") return;
  shown.value = shown.dataset.currency + Number(price).toFixed(price >= 0.01 || !Number(price) ? 2 : 4);
}
for (const profile of profiles) profile.addEventListener("input", () => showPrice(profile));
addEventListener("pageshow", () => profiles.forEach(showPrice));
