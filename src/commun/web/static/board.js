// The board's pages. Without this script everything can be read, downloaded and uploaded; with it, a key that this
// browser holds (keyring.js) signs what has been checked here (payloads.js). No private key is ever in a request.

import { $, $$, Refusal, words } from "./page.js";
import { held, make, sign, whyNot } from "./keyring.js";
import { canonical, checked } from "./payloads.js";

const JSON_TYPE = "application/json";

/** Asks our own server; unlike on the chat's pages, a refusal is said where the reader is. */
async function ask(url, value) {
  const post = value && { method: "POST", body: JSON.stringify(value) };
  let response;
  try {
    response = await fetch(url, { ...post, headers: { Accept: JSON_TYPE, "Content-Type": JSON_TYPE }, credentials: "same-origin" });
  } catch (error) {
    throw new Refusal(words().unreachable, { cause: error });
  }
  const data = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refusal(data.error ? `${data.error.problem} ${data.error.cure}` : words().unreachable);
  return data;
}

function say(text, { problem = false } = {}) {
  const place = $("#board-status");
  place.classList.toggle("problem", problem);
  place.textContent = text;
  if (problem) place.scrollIntoView({ block: "nearest" });
}

/** Runs `act`, with what is pressed out of use meanwhile; says what went wrong. */
async function busy(button, act) {
  if (button.ariaDisabled === "true") return;
  button.ariaDisabled = "true";
  try {
    await act();
  } catch (error) {
    say(error instanceof Refusal ? error.message : words().failed, { problem: true });
    if (!(error instanceof Refusal)) throw error;
  } finally {
    button.ariaDisabled = null;
  }
}

const filled = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

// ---- signing a document

async function signDocument(section, key) {
  const { document: id, kind, number, digest } = section.dataset;
  const draft = section.dataset.draft ? Object.fromEntries(new FormData($("#draft-fields"))) : null;
  const at = draft ? "/board/draft" : `/board/${id}`;
  say(words().checking);
  const data = await ask(`${at}/to-sign`, draft);
  const payloads = await checked(data, { kind, number: Number(number), digest });
  say(words().signing);
  const signatures = await sign(key, payloads);
  const answer = await ask(`${at}/sign`, { ...draft, key, time: data.time, signatures });
  location.assign(answer.url);
}

function startSigning(keys) {
  const section = $("[data-signers]");
  if (!section) return;
  const signers = section.dataset.signers.split(" ");
  const signed = section.dataset.signed.split(" ");
  const own = keys.filter((key) => signers.includes(key.public));
  const open = own.filter((key) => !signed.includes(key.public));
  for (const key of open) {
    const button = $("#sign-button").content.firstElementChild.cloneNode(true);
    button.append(own.length > 1 ? filled(words().signAs, { name: key.name }) : words().sign);
    button.addEventListener("click", () => busy(button, () => signDocument(section, key.public)));
    $("#sign-here").append(button);
  }
  $("#sign-here").hidden = !open.length;
  $("#signed-here").hidden = !own.length || open.length > 0;
  $("#no-key-here").hidden = own.length > 0;
}

// ---- freezing

function startFreezing(key) {
  const form = $("#freeze-form");
  if (!form || !key) return;
  form.closest("details").hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const reason = form.elements.reason.value;
    const { number, digest } = form.dataset;
    busy($("button", form), async () => {
      say(words().checking);
      const data = await ask("/board/freeze/to-sign", { key: key.public, reason });
      const payloads = await checked(data, { kind: "freeze", number: Number(number), digest, reason });
      const signatures = await sign(key.public, payloads);
      const answer = await ask("/board/freeze/sign", { key: key.public, reason, time: data.time, signatures });
      location.assign(answer.url);
    });
  });
}

// ---- the keys of this browser

function showKeys(keys) {
  const list = $("#own-keys");
  if (!list) return null;
  const members = new Map($$("[data-key]").map((each) => [each.dataset.key, each.dataset.name]));
  for (const key of keys) {
    const item = $("#own-key").content.firstElementChild.cloneNode(true);
    const name = members.get(key.public);
    $("strong", item).textContent = name ?? key.name;
    $("code", item).textContent = `${key.public.slice(0, 24)}…`;
    $("small", item).textContent = name ? words().onBoard : words().notOnBoard;
    list.append(item);
  }
  list.hidden = !keys.length;
  $("#no-own-keys").hidden = keys.length > 0;
  const own = keys.find((key) => members.has(key.public));
  if (own) {
    for (const place of $$(".for-members")) place.hidden = false;
    for (const field of $$("[name=by]")) field.value = members.get(own.public);
  }
  return own;
}

// ---- joining

async function answerOf(name, charter) {
  const known = (await held()).find((key) => key.name === name && key.charter === charter);
  const key = known?.public ?? await make(name, charter);
  const fields = { _type: "commun-join/1", name, key, charter };
  const { join } = await sign(key, { join: new TextEncoder().encode(canonical(fields)) });
  const bytes = new TextEncoder().encode(canonical({ ...fields, sig: join }));
  return `commun-join:${btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_")}`;
}

function startJoining() {
  const form = $("#join-form");
  if (!form) return;
  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busy($("button", form), async () => {
      say(words().making);
      const text = await answerOf(form.dataset.name, form.dataset.charter);
      $("#answer").value = text;
      $("#answer-file").href = URL.createObjectURL(new Blob([`${text}\n`], { type: "text/plain" }));
      $("#answered").hidden = false;
      form.hidden = true;
      say(words().made);
      $("#answered h2").focus();
    });
  });
}

function startCopying() {
  for (const button of $$("[data-copy-from]")) {
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copyFrom).value);
      say(words().copied);
    });
  }
}

async function start() {
  document.documentElement.classList.add("js");
  $("[data-done]")?.focus();
  startCopying();
  if (!$(".needs-key")) return;
  const reason = await whyNot();
  if (reason) {
    $(`[data-why="${reason}"]`).hidden = false;
    for (const place of $$(".needs-key")) place.hidden = true;
    return;
  }
  const keys = await held();
  startSigning(keys);
  startFreezing(showKeys(keys));
  startJoining();
  document.documentElement.dataset.board = "ready";
}

start();
