// What django-celery-beat's form does: says below a crontab what it means in words.
"use strict";

(() => {
  const readable = JSON.parse(document.getElementById("readable-crontabs").textContent);
  const field = document.getElementById("id_crontab");
  const help = document.querySelector(".field-crontab .help");
  if (!field || !help) {
    return;
  }
  document.querySelectorAll(".field-crontab_translation").forEach((one) => { one.hidden = true; });
  const words = document.createElement("div");
  help.append(words);
  field.addEventListener("change", () => {
    words.textContent = field.value in readable ? `Translation: ${readable[field.value]}` : "";
  });
})();
