// The seal of an answer: its receipt in a dialog. Loaded when a seal is opened, and not before.
// What only this page has of a temporary chat (`disclosed`: salts and values) is put into the file here, and goes nowhere.

import { $, $$, Refusal, ask, toast } from "./page.js";

const LOOK_AGAIN_MS = 1500; // the ledger takes a receipt within a second
const LOOKS = 8;
const PARTS = ["html"];

const styled = {};
/** A stylesheet of its own, once. */
function style(name) {
  styled[name] ??= new Promise((resolve) => {
    const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href: new URL(name, import.meta.url).href });
    link.addEventListener("load", resolve);
    link.addEventListener("error", resolve);
    document.head.append(link);
  });
  return styled[name];
}

function makeDialog() {
  const dialog = document.createElement("dialog");
  dialog.id = "seal-dialog";
  dialog.setAttribute("aria-labelledby", "seal-title");
  document.body.append(dialog);
  return dialog;
}

function fill(dialog, html, disclosed, comparedNonce) {
  dialog.replaceChildren(html);
  const nonce = $("[data-nonce]", dialog);
  const said = nonce && comparedNonce(nonce.dataset.nonce);
  if (said) Object.assign(nonce, { hidden: false, textContent: nonce.dataset[said] }).classList.add(said);
  if (!disclosed) return;
  $("[data-held]", dialog).hidden = false;
  $("[data-unheld]", dialog).hidden = true;
  for (const link of $$("a:not([data-proof])", dialog)) link.target = "_blank"; // leaving this page would lose its salts
  $("[data-proof]", dialog).addEventListener("click", (event) => {
    event.preventDefault();
    saveWith(event.currentTarget, disclosed);
  });
}

/** The file with what only this page can put into it. */
async function saveWith(link, disclosed) {
  try {
    const bundle = await ask(link.href);
    const url = URL.createObjectURL(new Blob([JSON.stringify({ ...bundle, disclosed })], { type: "application/json" }));
    Object.assign(document.createElement("a"), { href: url, download: link.download }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.message) toast(error.message);
  }
}

/** Opens the seal behind `link`, and looks again while the ledger is still to take the receipt. */
export async function openSeal(link, disclosed, comparedNonce) {
  const dialog = $("#seal-dialog") ?? makeDialog();
  if (dialog.open) return;
  const [data] = await Promise.all([ask(link.href, { parts: PARTS }), style("seal.css")]);
  if ($(".share-box", data.html)) await Promise.all([style("share.css"), import("./share.js")]);
  if (dialog.open) return;
  fill(dialog, data.html, disclosed, comparedNonce);
  dialog.showModal();
  const opened = new AbortController();
  dialog.addEventListener("close", () => { opened.abort(); link.focus(); }, { once: true });
  for (let looks = 0, { waiting } = data; waiting && looks < LOOKS; looks += 1) {
    await new Promise((resolve) => { setTimeout(resolve, LOOK_AGAIN_MS); });
    if (opened.signal.aborted) return;
    ({ waiting } = await lookAgain(dialog, link, disclosed, opened.signal));
  }
}

/** Only what the ledger knows can change; the focus and the place of reading stay. */
async function lookAgain(dialog, link, disclosed, signal) {
  try {
    const data = await ask(link.href, { parts: PARTS, signal });
    for (const part of [".receipt-standing", ".receipt-proves"]) {
      const [now, then] = [$(part, dialog), $(part, data.html)];
      if (now.textContent !== then.textContent && !now.contains(document.activeElement)) now.replaceChildren(...then.childNodes);
    }
    return data;
  } catch (error) {
    if (error instanceof Refusal || error.name === "AbortError") return { waiting: false };
    throw error;
  }
}
