// What this browser checks by itself before a key signs anything: that the bytes are of the kind that the page names,
// about the very edition that it shows, made of the very files that it shows, and of this hour. It never signs what it
// does not know.

import { $, $$, Refusal, words } from "./page.js";

const CLOCK_MS = 600_000;
const ROLES = ["root", "targets", "snapshot", "timestamp"];
const OWN = "x-commun";

const bytesOf = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
const each = (object, change) => Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value)]));
const textOf = (bytes) => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);

export async function sha256(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The canonical JSON that is signed has line ends and tabs as they are inside its texts; JSON proper escapes them. */
function parsed(bytes) {
  const escaped = (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.parse(textOf(bytes).replace(/[\u0000-\u001f]/g, escaped));
}

/** The canonical JSON of an object of texts. */
export function canonical(fields) {
  const quoted = (text) => `"${text.replace(/["\\]/g, "\\$&")}"`;
  return `{${Object.keys(fields).sort().map((name) => `${quoted(name)}:${quoted(fields[name])}`).join(",")}}`;
}

function must(holds) {
  if (!holds) throw new Refusal(words().differs);
}

/** `data`: the server's answer; `shown`: kind, number, digest (and reason, for a freeze). Gives the bytes to sign. */
export async function checked(data, shown) {
  if (!(Math.abs(Date.parse(data.time) - Date.now()) <= CLOCK_MS)) throw new Refusal(words().clock);
  const payloads = each(data.payloads, bytesOf);
  must(data.kind === shown.kind);
  try {
    await { edition: checkEdition, release: checkRelease, freeze: checkFreeze }[shown.kind](payloads, data, shown);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(words().differs, { cause: error }); // not even of the right shape
  }
  return payloads;
}

async function checkEdition(payloads, data, shown) {
  must(Object.keys(payloads).every((name) => name === "assent" || ROLES.includes(name)));
  must(await sha256(payloads.targets) === shown.digest);
  const signed = each(payloads, parsed);
  for (const role of ROLES) must(!(role in signed) || signed[role]._type === role);
  must(signed.targets[OWN].edition === shown.number && signed.targets.version === shown.number);
  for (const role of ["snapshot", "timestamp"]) must(signed[role][OWN].targets === shown.digest);
  must(signed.assent._type === "commun-assent/1" && signed.assent.edition === shown.digest && signed.assent.time === data.time);
  await checkFiles(signed.targets.targets, each(data.files, bytesOf));
}

async function checkFiles(targets, files) {
  must(Object.keys(targets).sort().join("\n") === Object.keys(files).sort().join("\n"));
  for (const [name, bytes] of Object.entries(files)) {
    must(targets[name].length === bytes.length && targets[name].hashes.sha256 === await sha256(bytes));
  }
  const plain = (text) => text.replace(/\r\n?/g, "\n").replace(/^\n/, "");
  const places = $$("[data-file]");
  must(places.length === Object.keys(files).length);
  for (const place of places) {
    if ($(".odd", place)) continue; // its odd characters are named on the page, so it is not the file's text any more
    must(plain(place.textContent) === plain(textOf(files[place.dataset.file])));
  }
}

function checkRelease(payloads, _data, shown) {
  must(Object.keys(payloads).join() === "release");
  const signed = parsed(payloads.release);
  must(signed._type === "commun-unfreeze/1" && signed.edition === shown.number && signed.digest === shown.digest);
}

function checkFreeze(payloads, data, shown) {
  must(Object.keys(payloads).join() === "freeze");
  const signed = parsed(payloads.freeze);
  must(signed._type === "commun-freeze/1" && signed.edition === shown.number && signed.digest === shown.digest);
  must(signed.reason === shown.reason.trim() && signed.time === data.time);
}
