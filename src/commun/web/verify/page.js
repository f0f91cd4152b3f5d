// The page: a file is dropped or chosen, and what its examination says is shown. Whatever comes out of a file is put in as
// text, never as HTML; nothing is fetched and nothing is kept.

import { examineBeside } from "./beside.js";
import { MOST_BUNDLE_BYTES } from "./bundle.js";
import { MOST_SHOWN } from "./examination.js";
import { DETAILS, LABELS, OUTCOMES, REASONS, ROLES, SCHEMES, STATES, VERDICTS, WORDS } from "./words.js";

const $ = (id) => document.getElementById(id);
const $$ = (selector) => document.querySelectorAll(selector);
const MOST_POLICY_BYTES = 1000000;
const PATIENCE_MS = 150; // what is done by then needs no word
const NOTHING = "—";

let catalogues = {};
let language = "en";
let source = ""; // the text of this script
let opened = null; // { name, data }: the file that is looked at
let shown = null; // its report
let run = 0; // counts verifications: only the last one's report is shown
let running = null; // the one that is under way: { stop, word: the timer of its sentence }

function translated({ text, details = {} }) {
  const own = catalogues[language];
  const sentence = Object.hasOwn(own, text) ? own[text] : text;
  return sentence.replace(/%\((\w+)\)s/g, (_, name) => detailed(name, details[name]));
}

function detailed(name, value) {
  if (Object.hasOwn(DETAILS, name) && Object.hasOwn(DETAILS[name], value)) return translated(DETAILS[name][value]);
  if (name === "began" || name === "ended") return value.replace("T", " ").replace("Z", " UTC");
  return visible(String(value));
}

function moment(text) {
  const form = new Intl.DateTimeFormat(language, { dateStyle: "long", timeStyle: "medium", timeZone: "UTC" });
  return `${form.format(new Date(text))} UTC`;
}

// What nobody sees, or what turns the direction of a line, is written out where a name is shown.
function visible(text) {
  const written = (letter) => `‹U+${letter.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}›`;
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, written);
}

function element(tag, { text, className, ...attributes } = {}, children = []) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const says = (tag, words, attributes = {}) => element(tag, { text: translated(words), ...attributes });
const icon = (name) => $(`icon-${name}`).content.cloneNode(true);

function speak(wanted) {
  language = wanted;
  document.documentElement.lang = wanted;
  for (const each of $$("[data-say]")) each.textContent = translated({ text: each.dataset.say });
  for (const each of $$("[data-say-label]")) each.setAttribute("aria-label", translated({ text: each.dataset.sayLabel }));
  for (const each of $$("[data-speak]")) each.setAttribute("aria-pressed", String(each.dataset.speak === wanted));
  document.title = `${translated(WORDS.title)} · Commun`;
  if ($("checking").textContent !== "") tellThatItChecks();
  if (shown) show(shown);
}

// What the reader has by another way. null: a field says what is wrong with it.
async function trusted() {
  const charter = $("charter").value.replace(/\s/g, "").toLowerCase();
  const holds = charter === "" || /^[0-9a-f]{64}$/.test(charter);
  $("charter").setAttribute("aria-invalid", String(!holds));
  $("charter-wrong").hidden = holds;
  const policy = await contents($("policy").files[0], MOST_POLICY_BYTES + 1);
  $("policy-out").hidden = policy === null;
  return holds ? { charter, keys: $("keys").value.split(/\s+/).filter((key) => key !== ""), policy } : null;
}

// No more than can be looked at; a longer file is refused by its length all the same.
async function contents(file, most) {
  return file ? new Uint8Array(await file.slice(0, most).arrayBuffer()) : null;
}

async function open(file) {
  opened = { name: file.name, data: await contents(file, MOST_BUNDLE_BYTES + 1) };
  $("result").hidden = true;
  shown = null;
  if (await check()) $("result").scrollIntoView({ block: "start" });
}

// Whether its report was shown: another check may have come in between.
async function check() {
  if (opened === null) return false;
  const turn = ++run;
  const trust = await trusted();
  if (trust === null) {
    rest();
    $("trust").open = true;
    $("charter").focus();
    return false;
  }
  if (turn !== run) return false;
  const report = await examined(trust);
  if (turn !== run) return false;
  rest();
  show(report);
  return true;
}

async function examined(trust) {
  rest();
  try {
    if (!globalThis.crypto?.subtle) throw new Error("no WebCrypto here");
    const { report, stop } = examineBeside(source, opened.data, trust);
    running = { stop, word: setTimeout(tellThatItChecks, PATIENCE_MS) };
    return await report;
  } catch (error) {
    console.error(error);
    return { verdict: "failed", steps: [], notProven: [], said: null, detail: String(error) };
  }
}

function tellThatItChecks() {
  $("checking").textContent = translated(WORDS.checking);
}

function rest() {
  if (running !== null) {
    clearTimeout(running.word);
    running.stop();
    running = null;
  }
  $("checking").textContent = "";
}

function show(report) {
  shown = report;
  $("result").hidden = false;
  showVerdict(report);
  $("steps").replaceChildren(...report.steps.map(step));
  const isKept = report.verdict === "verified" || report.verdict === "partial";
  $("said").hidden = !isKept;
  $("facts").hidden = !isKept;
  $("limits").hidden = !isKept;
  $("steps-part").hidden = report.steps.length === 0;
  if (!isKept) return;
  $("messages").replaceChildren(...conversation(report));
  $("facts-rows").replaceChildren(...facts(report.predicate));
  $("not-proven").replaceChildren(...report.notProven.map((each) => says("li", each)));
}

function showVerdict({ verdict, reason, step, detail }) {
  const { name, about, sign } = VERDICTS[verdict];
  $("verdict").className = `verdict ${verdict}`;
  const words = [says("h2", name), element("p", { text: opened.name, className: "file", dir: "auto" })];
  if (verdict === "refused") {
    words.push(says("p", { ...WORDS.refusedAt, details: { step } }));
    words.push(says("p", REASONS[reason], { className: "reason" }));
  } else words.push(says("p", about));
  if (detail) {
    const told = reason ? `${reason}: ${detail}` : detail;
    words.push(element("details", {}, [says("summary", WORDS.exactly), element("code", { text: visible(told), lang: "en" })]));
  }
  $("verdict").replaceChildren(icon(sign), element("div", {}, words));
}

function step({ name, outcome, proves, missing }) {
  const { words, sign, className } = OUTCOMES[outcome];
  const head = element("h3", {}, [says("span", name), element("span", { className: "outcome" }, [icon(sign), translated(words)])]);
  const lines = [
    ...proves.map((each) => element("li", { className: "holds" }, [icon("holds"), says("span", each)])),
    ...missing.map((each) => element("li", { className: "missing" }, [icon("missing"), says("span", each)])),
  ];
  return element("li", { className }, [head, ...(lines.length > 0 ? [element("ul", {}, lines)] : [])]);
}

function conversation({ predicate, said: { messages, more, answer } }) {
  const { dropped } = predicate.context;
  const parts = dropped > 0 ? [hint(WORDS.dropped, { count: dropped })] : [];
  if (messages === null) parts.push(hint(WORDS.questionWithheld));
  else parts.push(...messages.map((each) => message(each.isOwn ? says("h3", WORDS.own) : named(each.role), each, each.role)));
  if (more > 0) parts.push(hint(WORDS.leftOut, { count: more }));
  parts.push(answer === null ? hint(WORDS.answerWithheld) : message(says("h3", WORDS.answer), answer, "answer"));
  return parts;
}

function hint(words, details) {
  return says("p", { ...words, details }, { className: "hint" });
}

// A role is whatever the file says: only those that are known have words.
function named(role) {
  return Object.hasOwn(ROLES, role) ? says("h3", ROLES[role]) : element("h3", { text: visible(role), dir: "auto" });
}

function message(who, { content, isShort }, role) {
  const kind = role === "answer" ? "answer" : role === "system" ? "system" : "asked";
  const parts = [who];
  if (content === "") parts.push(hint(WORDS.empty));
  else parts.push(element("p", { text: content, className: "words", dir: "auto" }));
  if (isShort) parts.push(hint(WORDS.shortened, { count: MOST_SHOWN }));
  return element("div", { className: `message ${kind}` }, parts);
}

function facts(predicate) {
  const { charter, model, engine, sampler, seed, context, tokens } = predicate;
  const list = (names) => names.join(", ") || NOTHING;
  const rows = [
    [LABELS.model, model.id],
    [LABELS.modelDigest, model.digest || translated(WORDS.remote)],
    [LABELS.edition, String(charter.edition)],
    [LABELS.charter, charter.first_root],
    [LABELS.state, translated(STATES[predicate.state]) + (predicate.error ? ` (${predicate.error})` : "")],
    [LABELS.began, moment(predicate.began)],
    [LABELS.ended, moment(predicate.ended)],
    [LABELS.engine, [engine.name || NOTHING, engine.version, engine.profile].filter((each) => each !== "").join(" · ")],
    [LABELS.temperature, sampler.temperature],
    [LABELS.topP, sampler.top_p],
    [LABELS.maxTokens, String(sampler.max_tokens)],
    [LABELS.seed, `${seed.value} · ${translated(SCHEMES[seed.nonce_by ? `${seed.scheme} ${seed.nonce_by}` : seed.scheme])}`],
    [LABELS.nonce, seed.nonce ?? ""],
    [LABELS.tokens, `${tokens.prompt} + ${tokens.answer}`],
    [LABELS.messages, `${context.kept} · ${context.dropped}`],
    [LABELS.sources, list(predicate.sources)],
    [LABELS.tools, list(predicate.tools)],
    [LABELS.persona, predicate.persona || NOTHING],
    [LABELS.software, predicate.software],
    [LABELS.ledger, predicate.ledger || NOTHING],
    [LABELS.receipt, predicate.receipt],
  ];
  return rows.map(([label, value]) => element("div", {}, [says("dt", label), element("dd", { text: visible(value), dir: "auto" })]));
}

function listen() {
  $("bundle").addEventListener("change", () => $("bundle").files[0] && open($("bundle").files[0]));
  for (const id of ["charter", "keys", "policy"]) $(id).addEventListener("change", check);
  $("policy-out").addEventListener("click", () => {
    $("policy").value = "";
    $("policy").focus();
    $("policy-out").hidden = true;
    check();
  });
  for (const each of $$("[data-speak]")) each.addEventListener("click", () => speak(each.dataset.speak));
  const over = (isOver) => (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", isOver);
  };
  document.addEventListener("dragover", over(true));
  document.addEventListener("dragleave", over(false));
  document.addEventListener("drop", (event) => {
    over(false)(event);
    const [file] = event.dataTransfer.files;
    if (file) open(file);
  });
}

// `script`: the text of this script.
export function begin(script) {
  source = script;
  catalogues = JSON.parse($("sentences").textContent);
  const first = document.documentElement.lang;
  const own = (navigator.languages ?? []).map((tag) => tag.slice(0, 2)).find((code) => code in catalogues);
  speak(location.protocol === "file:" && own ? own : first);
  $("save").hidden = location.protocol === "file:";
  $("no-cryptography").hidden = Boolean(globalThis.crypto?.subtle);
  document.documentElement.classList.add("js");
  listen();
}
