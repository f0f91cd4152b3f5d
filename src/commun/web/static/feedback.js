// What somebody thinks of an answer: the thumbs without a reload, and the form in a dialog. Loaded when one is used.

import { $, $$, Refusal, announce, ask, toast } from "./page.js";

const DIALOG = "feedback-dialog";
let styled;

function style() {
  styled ??= new Promise((resolve) => {
    const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href: new URL("feedback.css", import.meta.url).href });
    link.addEventListener("load", resolve);
    link.addEventListener("error", resolve);
    document.head.append(link);
  });
  return styled;
}

/** The buttons as the server says it now is. Nothing is replaced, so that the focus stays. */
function showThumbs(form, data) {
  for (const button of $$("[data-thumb]", form)) {
    const pressed = button.dataset.thumb === data.thumb;
    button.setAttribute("aria-pressed", String(pressed));
    button.value = pressed ? "" : button.dataset.thumb;
  }
  $("[data-why]", form).hidden = !data.said;
}

/** A thumb was pressed. */
export async function sendThumb(form, submitter) {
  try {
    const data = await ask(form.action, { body: new FormData(form, submitter) });
    showThumbs(form, data);
    announce(data.told);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.message) toast(error.message);
  }
}

function makeDialog() {
  const dialog = document.createElement("dialog");
  dialog.id = DIALOG;
  dialog.setAttribute("aria-labelledby", "feedback-title");
  document.body.append(dialog);
  return dialog;
}

async function keep(form, submitter, dialog, thumbs) {
  const buttons = $$("button", form);
  const body = new FormData(form, submitter);
  for (const button of buttons) button.disabled = true;
  try {
    const data = await ask(form.action, { body });
    if (submitter?.name === "send") return location.assign(data.url);
    showThumbs(thumbs, data);
    dialog.close();
    return announce(data.told);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    $(".opinion-problem", form).textContent = error.message;
  }
  for (const button of buttons) button.disabled = false;
  return undefined;
}

/** Opens the form behind `link`, which stands beside the thumbs. */
export async function openForm(link) {
  const dialog = $(`#${DIALOG}`) ?? makeDialog();
  if (dialog.open) return;
  const thumbs = link.closest("form");
  try {
    const [data] = await Promise.all([ask(link.href, { parts: ["html"] }), style()]);
    if (dialog.open) return;
    dialog.replaceChildren(data.html);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.message) toast(error.message);
    return;
  }
  const form = $("form", dialog);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    keep(form, event.submitter, dialog, thumbs);
  });
  dialog.showModal();
  dialog.addEventListener("close", () => (link.hidden ? $("[data-thumb]", thumbs) : link).focus(), { once: true });
}
