// The page's behaviour. Without it everything still works as forms and links; with it nothing has to reload.

import { $, $$, Refusal, announce, ask, copy, keepingPlace, toEnd, toast, words } from "./page.js";
import { enhance, followRunning, runningAnswer, stopAnswer } from "./answer.js";
import { compared, drawInto, remember } from "./nonces.js";
import { closeSidebar, openDialog, startKeys, startMenus, toggleSidebar } from "./shell.js";

const PARTS = ["main", "sidebar", "append", "toast", "html"];
const chat = () => $("#chat");
const field = () => $("#question");
/** Ready for the next question; on a phone this would only raise the keyboard over the answer. */
const backToField = () => { if (matchMedia("(hover: hover)").matches) field()?.focus({ preventScroll: true }); else document.activeElement?.blur(); };
const isTemporary = () => chat()?.hasAttribute("data-temporary");

// A temporary chat lives here and in the page, nowhere else. { role, text, id, disclosed }: the last is what opens the
// commitments of an answer's receipt.
let history = [];

function showProblem(error) {
  if (!(error instanceof Refusal)) throw error;
  if (!error.message) return;
  const place = $("#composer-problem");
  if (place) place.textContent = error.message;
  else toast(error.message);
}

function fit() {
  const area = field();
  if (!area || CSS.supports("field-sizing: content")) return;
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight}px`;
}

function setRunning(running) {
  const [send, stop] = [$("#send"), $("#stop")];
  if (!send) return;
  stop.hidden = !running;
  send.hidden = running;
  if (running) stop.formAction = `/answers/${runningAnswer().dataset.id}/stop`;
}

/** Puts the parts of a response where they belong. */
function show(data, { push = true } = {}) {
  if (data.sidebar) $("#list").replaceChildren(data.sidebar);
  if (data.main) {
    $("#main").replaceChildren(data.main);
    document.title = data.title ? `${data.title} · Commun` : "Commun";
    if (push && data.url && data.url !== location.pathname) {
      window.history.pushState({}, "", data.url);
      shownPath = location.pathname;
    }
  }
  if (data.append) {
    $(".welcome")?.remove();
    chat().classList.remove("empty");
    $("#transcript").append(data.append);
    $("#parent").value = data.parent;
  }
  if (data.toast) toast(data.toast, 12);
  enhance(document);
  watchAnswer();
}

function watchAnswer() {
  setRunning(Boolean(runningAnswer()));
  followRunning((article, data) => {
    setRunning(false);
    $("#list .running")?.classList.remove("running");
    if (isTemporary()) history.push({ role: "assistant", text: data.text, id: article.dataset.id, disclosed: data.disclosed });
    if (compared(article.dataset.id, data.nonce) === "other") {
      const notice = Object.assign(document.createElement("p"), { className: "notice problem", textContent: words().othernonce });
      notice.setAttribute("role", "alert");
      $(".aftermath", article).append(notice);
    }
    if (document.activeElement === document.body) backToField();
  }, reload);
}

/** The answer of a temporary chat is nowhere else: what has arrived of it is all there is. */
function giveUp() {
  const article = runningAnswer();
  delete article.dataset.running;
  article.setAttribute("data-failed", "");
  $(".waiting", article)?.remove();
  setRunning(false);
  $("#composer-problem").textContent = words().lost;
}

let reloaded = 0;
/** The server no longer follows this answer: what is stored is what counts. */
async function reload() {
  if (isTemporary()) return giveUp();
  if (Date.now() - reloaded < 3000) return;
  reloaded = Date.now();
  try { show(await ask(location.pathname, { parts: PARTS }), { push: false }); } catch (error) { showProblem(error); }
}

// ---- asking

/** The persona, and what the reader has been told of the charter, go with every form that asks. */
function withChoices(body) {
  for (const each of $$("[form=composer][name]")) if (!body.has(each.name)) body.set(each.name, each.value);
}

/** A question, whichever form asks it: with a nonce of its own. */
async function asked(url, body) {
  const nonce = drawInto(body);
  const data = await ask(url, { body, parts: PARTS });
  return { data, noted: () => { const answer = $$(".answer").at(-1); if (answer) remember(answer.dataset.id, nonce); } };
}

async function send(form, submitter) {
  if (runningAnswer()) return;
  const body = new FormData(form, submitter);
  if (!String(body.get("question") ?? "").trim() || $("#send").disabled) return;
  $("#composer-problem").textContent = "";
  withChoices(body);
  if (isTemporary()) body.set("history", JSON.stringify(history.map(({ role, text }) => ({ role, text }))));
  const area = field();
  const typed = area.value;
  area.value = "";
  fit();
  try {
    const { data, noted } = await asked(form.action, body);
    show(data);
    noted();
    if (isTemporary()) history.push({ role: "user", text: String(body.get("question")), id: $$(".question").at(-1).dataset.id });
    toEnd(true);
    backToField();
  } catch (error) {
    field().value = typed;
    fit();
    showProblem(error);
  }
}

/** Edit, another answer, another branch: the server gives the whole conversation as it now is. */
async function swap(url, body) {
  withChoices(body);
  try {
    const isBranch = new URL(url, location.href).pathname.endsWith("/branch");
    const { data, noted } = isBranch ? { data: await ask(url, { body, parts: PARTS }) } : await asked(url, body);
    show(data, { push: false });
    noted?.();
    backToField();
  } catch (error) { showProblem(error); }
}

function fieldsOf(entries) {
  const body = new FormData();
  for (const [name, value] of Object.entries(entries)) body.set(name, value);
  return body;
}

/** In a temporary chat: forget everything from this message on, on the page and in memory. */
function forgetFrom(article) {
  const index = history.findIndex((each) => each.id === article.dataset.id);
  if (index >= 0) history.length = index;
  while (article.nextElementSibling) article.nextElementSibling.remove();
  article.remove();
}

function startEdit(article) {
  if (runningAnswer() || $("form.edit", article)) return;
  const bubble = $(".bubble", article);
  const form = $("#edit-form").content.firstElementChild.cloneNode(true);
  const area = $("textarea", form);
  area.value = bubble.textContent;
  bubble.hidden = true;
  bubble.after(form);
  article.classList.add("editing");
  area.focus();
  area.setSelectionRange(area.value.length, area.value.length);
  const cancel = () => { form.remove(); bubble.hidden = false; article.classList.remove("editing"); field().focus(); };
  $("[data-cancel]", form).addEventListener("click", cancel);
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { event.stopPropagation(); cancel(); }
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); form.requestSubmit(); }
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const question = area.value;
    if (isTemporary()) {
      forgetFrom(article);
      field().value = question;
      return $("#composer").requestSubmit($("#send"));
    }
    return swap(`/c/${chat().dataset.conversation}/edit`, fieldsOf({ message: article.dataset.id, question }));
  });
}

function answerAgain(article) {
  if (runningAnswer()) return;
  if (!isTemporary()) return $("form .again", article)?.click();
  const question = article.previousElementSibling;
  const text = $(".bubble", question).textContent;
  forgetFrom(question);
  field().value = text;
  return $("#composer").requestSubmit($("#send"));
}

async function showSeal(link) {
  const disclosed = history.find((each) => each.id === link.closest(".message").dataset.id)?.disclosed;
  const seal = await import("./seal.js").catch(() => null);
  if (!seal) return location.assign(link.href);
  try {
    return await seal.openSeal(link, disclosed, (named) => compared(link.closest(".message").dataset.id, named));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return error.message && toast(error.message);
  }
}

const sourceOf = (article) => ($("template.source", article)?.content ?? $(".bubble", article)).textContent;

// ---- events of the page

document.addEventListener("submit", async (event) => {
  const form = event.target;
  const { submitter } = event;
  if (submitter?.id === "stop") { event.preventDefault(); return void stopAnswer().catch(showProblem); }
  if ("ask" in form.dataset) { event.preventDefault(); return void send(form, submitter); }
  if ("swap" in form.dataset) { event.preventDefault(); if (!runningAnswer()) swap(form.action, new FormData(form, submitter)); return undefined; }
  if ("feedback" in form.dataset) { event.preventDefault(); return void import("./feedback.js").then((feedback) => feedback.sendThumb(form, submitter)); }
  if ("told" in form.dataset) {
    event.preventDefault();
    try {
      await ask(form.action, { body: new FormData(form) });
      $("#told").remove();
      field()?.focus({ preventScroll: true });
    } catch (error) { showProblem(error); }
    return undefined;
  }
  if ("consent" in form.dataset) {
    event.preventDefault();
    try {
      await ask(form.action, { body: new FormData(form, submitter) });
      $("#consent").remove();
      field()?.focus({ preventScroll: true });
    } catch (error) { showProblem(error); }
    return undefined;
  }
  if ("rename" in form.dataset || "restore" in form.dataset || ("delete" in form.dataset && form.dataset.here === "no")) {
    event.preventDefault();
    await change(form.action, new FormData(form));
    if ("restore" in form.dataset) $("#toasts").replaceChildren();
    if ("rename" in form.dataset) $("#chat-menu").open = false;
  }
  return undefined;
});

/** Something about a conversation in the list changed. */
async function change(url, body) {
  const here = chat()?.dataset.conversation ?? "";
  try {
    const data = await ask(`${url}?current=${here}`, { body, parts: PARTS });
    if (data.title && url.includes(`/c/${here}/`)) $("#chat-title").textContent = data.title;
    show({ ...data, main: undefined });
  } catch (error) { showProblem(error); }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button, a");
  if (!button) return;
  const article = button.closest(".message");
  if ("copyCode" in button.dataset) copy($("pre", button.closest("figure")).textContent, button);
  else if ("copyMessage" in button.dataset) copy(sourceOf(article), button);
  else if ("copyFrom" in button.dataset) copy($(`#${button.dataset.copyFrom}`).textContent, null);
  else if ("edit" in button.dataset) startEdit(article);
  else if ("seal" in button.dataset && !(event.ctrlKey || event.metaKey || event.shiftKey)) { event.preventDefault(); showSeal(button); }
  else if ("why" in button.dataset && !(event.ctrlKey || event.metaKey || event.shiftKey)) { event.preventDefault(); import("./feedback.js").then((feedback) => feedback.openForm(button)); }
  else if ("again" in button.dataset) answerAgain(article);
  else if (button.id === "to-end") toEnd(true);
});

document.addEventListener("input", (event) => { if (event.target === field()) fit(); });

document.addEventListener("keydown", (event) => {
  if (event.target !== field() || event.isComposing) return;
  if (event.key === "Enter" && !event.shiftKey && !(matchMedia("(pointer: coarse)").matches)) {
    event.preventDefault();
    if (!$("#send").disabled && !runningAnswer()) $("#composer").requestSubmit($("#send"));
  }
  if (event.key === "ArrowUp" && !field().value) {
    const last = $$(".question").at(-1);
    if (last) { event.preventDefault(); startEdit(last); }
  }
});

let shownPath = location.pathname;
addEventListener("popstate", () => { if (location.pathname !== shownPath) location.reload(); });

// ---- the model is being loaded: ask until it is

async function watchEngine() {
  const place = $("#engine");
  if (!place || place.dataset.state === "ready") return;
  try {
    const data = await ask("/engine", { parts: PARTS });
    const before = place.dataset.state;
    if (data.state !== before) keepingPlace(() => place.replaceChildren(data.html));
    place.dataset.state = data.state;
    if (data.state === "ready") {
      for (const button of $$("#send, .starters button")) button.disabled = false;
      announce(words().ready);
      return;
    }
  } catch (error) { if (!(error instanceof Refusal)) throw error; }
  setTimeout(watchEngine, 700);
}

// ---- start

document.documentElement.classList.add("js");
document.cookie = `commun_zone=${Intl.DateTimeFormat().resolvedOptions().timeZone}; path=/; max-age=31536000; samesite=lax`;
startMenus({ change });
startKeys({
  stop: () => (runningAnswer() ? void stopAnswer().catch(showProblem) : closeSidebar()),
  newChat: () => $("[data-new]").click(),
  search: () => openDialog("search-dialog"),
  write: () => field()?.focus(),
  again: () => { const last = $$(".answer").at(-1); if (last) answerAgain(last); },
  copy: () => { const last = $$(".answer").at(-1); if (last) copy(sourceOf(last), null); },
  sidebar: toggleSidebar,
  keys: () => openDialog("keys-dialog"),
});
enhance(document);
watchAnswer();
watchEngine();
fit();
if (document.activeElement === document.body && !location.hash) backToField();
const waiting = $("#page-toast");
if (waiting) { toast(waiting.content, 12); window.history.replaceState({}, "", "/"); }
const autosave = $("[data-autosave]");
autosave?.addEventListener("change", () => autosave.requestSubmit());
if (!location.hash && $("#transcript")?.children.length && !new URLSearchParams(location.search).has("message")) toEnd();
const found = new URLSearchParams(location.search).get("message");
if (found) document.getElementById(`m-${found}`)?.scrollIntoView({ block: "center" });
