// TUF metadata of a charter, one file at a time: its form, its board, and how many of a board have signed it.
//
// - strict JSON, at most so many bytes; exactly `signed` and `signatures`; a signature is exactly {"keyid", "sig"}, no key
//   twice; `signed` has the fields of its role and `x-commun`, and no other;
// - signed is the canonical JSON of `signed`: how the file itself is written is free;
// - a root is a board only by the rules of docs/spec/charter.md: the four roles have the same keys and the same threshold,
//   from 1 to the number of keys; each key is one that a board may have, under its own id; `x-commun` is well formed.
// Refuses with charter-invalid.

import { fromHex, hex, sha256 } from "../bytes.js";
import { rfc8785, tufCanonical } from "../canonical.js";
import { NotStrict, isObject, readObject } from "../strict-json.js";
import { charterKeyFromMetadata, hasCharterSigned } from "./keys.js";
import { CHARTER_CLAUSES } from "./schema.js";
import { tomlIsDay } from "./toml.js";
import { charterRefusal, hasCharterFields } from "./values.js";

const TUF_MOST_BYTES = new Map([
  ["root", 512000],
  ["targets", 1000000],
  ["snapshot", 1000000],
  ["timestamp", 16384],
]);
const TUF_COMMON = ["_type", "expires", "spec_version", "version", "x-commun"];
const TUF_FIELDS = new Map([
  ["root", ["consistent_snapshot", "keys", "roles"]],
  ["targets", ["targets"]],
  ["snapshot", ["meta"]],
  ["timestamp", ["meta"]],
]);
const TUF_ROLES = ["root", "snapshot", "targets", "timestamp"];
const TUF_KEYS_MOST = 60;
const TUF_LEAST_YEAR = 1000; // of an expiry: not every library writes an earlier one with four digits again

export function isTufDigest(value) {
  return typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
}

// A whole number; strict JSON has those only, and booleans are none.
export function isTufWhole(value, least = 0) {
  return (typeof value === "number" || typeof value === "bigint") && value >= least;
}

// 2026-11-22T06:00:00Z
export function isTufTime(text, leastYear = 1) {
  const found = typeof text === "string" && /^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})Z$/.exec(text);
  if (!found) return false;
  const [year, month, day, hour, minute, second] = found.slice(1).map(Number);
  return year >= leastYear && tomlIsDay(year, month, day) && hour < 24 && minute < 60 && second < 60;
}

// {signed, payload: what is signed, digest: of that, signatures: a Map from key ids to bytes}
export async function readTuf(data, role, file) {
  if (data.length > TUF_MOST_BYTES.get(role)) throw charterRefusal(`${file} is longer than it may be`);
  const document = tufDocument(data, file);
  if (!hasCharterFields(document, ["signed", "signatures"])) throw charterRefusal(`${file} is not signed metadata`);
  const { signed } = document;
  if (!hasCharterFields(signed, [...TUF_COMMON, ...TUF_FIELDS.get(role)]) || signed._type !== role) {
    throw charterRefusal(`${file} is not the role that stands here, or a field is missing or unknown`);
  }
  const isCommon =
    isTufWhole(signed.version, 1) &&
    typeof signed.spec_version === "string" &&
    /^1\.[0-9]+(?:\.[0-9]+)?$/.test(signed.spec_version) &&
    isTufTime(signed.expires, TUF_LEAST_YEAR);
  if (!isCommon) throw charterRefusal(`${file} has a version or a time that is none`);
  const payload = tufCanonical(signed);
  return { signed, payload, digest: hex(await sha256(payload)), signatures: tufSignatures(document.signatures, file) };
}

// A root with its board: {…, board: {threshold, keys: a Map from key ids to keys}}.
export async function readTufRoot(data, file) {
  const root = await readTuf(data, "root", file);
  const { keys, roles } = root.signed;
  const { keyids, threshold } = tufBoard(root.signed, file);
  const board = { threshold, keys: new Map() };
  if (!hasCharterFields(keys, keyids) || keyids.length > TUF_KEYS_MOST) {
    throw charterRefusal(`${file}: its keys are not those of its roles, or too many`);
  }
  for (const role of Object.values(roles)) {
    const isSame = role.threshold === threshold && [...role.keyids].sort().join() === [...keyids].sort().join();
    if (!isSame) throw charterRefusal(`${file}: its four roles have not the same keys and threshold`);
  }
  for (const id of keyids) board.keys.set(id, await charterKeyFromMetadata(id, keys[id]));
  await checkTufExtension(root.signed["x-commun"], board, file);
  return { ...root, board };
}

// The ids of those keys of the board that have validly signed.
export async function tufSigners(board, metadata) {
  const signed = [];
  for (const [id, key] of board.keys) {
    const signature = metadata.signatures.get(id);
    if (signature !== undefined && (await hasCharterSigned(key, metadata.payload, signature))) signed.push(id);
  }
  return signed;
}

export async function checkTufQuorum(board, metadata, file) {
  const signed = await tufSigners(board, metadata);
  if (signed.length < board.threshold) throw charterRefusal(`${file}: the board's quorum has not signed it`);
}

function tufDocument(data, file) {
  try {
    return readObject(data);
  } catch (error) {
    if (!(error instanceof NotStrict)) throw error;
    throw charterRefusal(`${file} is not strict JSON: ${error.message}`);
  }
}

function tufSignatures(list, file) {
  const signatures = new Map();
  if (!Array.isArray(list)) throw charterRefusal(`${file}: its signatures are no list`);
  for (const each of list) {
    const isOne =
      hasCharterFields(each, ["keyid", "sig"]) &&
      isTufDigest(each.keyid) &&
      typeof each.sig === "string" &&
      /^(?:[0-9a-f]{2})+$/.test(each.sig);
    if (!isOne || signatures.has(each.keyid)) throw charterRefusal(`${file}: a signature is none, or a key stands twice`);
    signatures.set(each.keyid, fromHex(each.sig));
  }
  return signatures;
}

// The first of the four roles, once all four are well formed.
function tufBoard(signed, file) {
  if (signed.consistent_snapshot !== true) throw charterRefusal(`${file}: its files are not named by their digests`);
  if (!hasCharterFields(signed.roles, TUF_ROLES)) throw charterRefusal(`${file}: its roles are not the four of TUF`);
  for (const role of Object.values(signed.roles)) {
    const isRole =
      hasCharterFields(role, ["keyids", "threshold"]) &&
      Array.isArray(role.keyids) &&
      role.keyids.every(isTufDigest) &&
      new Set(role.keyids).size === role.keyids.length &&
      isTufWhole(role.threshold, 1) &&
      role.threshold <= role.keyids.length;
    if (!isRole) throw charterRefusal(`${file}: a role's keys or threshold are none`);
  }
  return signed.roles.root;
}

async function checkTufExtension(extension, board, file) {
  const names = ["edition", "entrenched", "format", "guards", "quorum"];
  if (!hasCharterFields(extension, names) || extension.format !== "commun-root/1") {
    throw charterRefusal(`${file}: its x-commun is not that of a root`);
  }
  const { edition, quorum, entrenched, guards } = extension;
  if (!hasCharterFields(edition, ["digest", "number"]) || !isTufWhole(edition.number, 1) || !isTufDigest(edition.digest)) {
    throw charterRefusal(`${file}: it names no edition`);
  }
  if (quorum !== board.threshold) throw charterRefusal(`${file}: its quorum is not its threshold`);
  const isSorted = (id, at) => isTufDigest(id) && board.keys.has(id) && (at === 0 || guards[at - 1] < id);
  if (!Array.isArray(guards) || !guards.every(isSorted)) {
    throw charterRefusal(`${file}: its guards are not members, sorted, each once`);
  }
  if (!isObject(entrenched) || !Object.values(entrenched).every(isTufDigest)) {
    throw charterRefusal(`${file}: its entrenched clauses are not digests`);
  }
  const clauses = Object.keys(entrenched);
  if (!clauses.every((name) => CHARTER_CLAUSES.includes(name))) throw charterRefusal(`${file}: it entrenches what is no clause`);
  if (clauses.length > 0 && guards.length === 0) throw charterRefusal(`${file}: it entrenches what nobody guards`);
  if (clauses.includes("board.quorum") && entrenched["board.quorum"] !== hex(await sha256(rfc8785(quorum)))) {
    throw charterRefusal(`${file}: its threshold is not the quorum that it entrenches`);
  }
}
