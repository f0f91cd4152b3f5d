// Publishing an answer: the form's place is taken by the link, which the server shows this once.

import { $, Refusal, ask } from "./page.js";

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches?.("form[data-share]")) return;
  event.preventDefault();
  const button = $("button", form);
  button.disabled = true;
  try {
    const data = await ask(form.action, { body: new FormData(form), parts: ["html"] });
    const box = data.html.firstElementChild;
    form.replaceWith(box);
    $("button", box).focus();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    $(".share-problem", form).textContent = error.message;
    button.disabled = false;
  }
});
