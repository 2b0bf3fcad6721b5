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
