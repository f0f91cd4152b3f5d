// The statement: in-toto's form, the fields of the predicate, and what contradicts what (docs/spec/receipt.md).

import { BadWriting, equal } from "./bytes.js";
import { NotCanonical, rfc8785 } from "./canonical.js";
import { FIELDS } from "./commitments.js";
import { Refusal } from "./refusal.js";
import { DERIVED, isOwnId } from "./seed.js";
import { NotStrict, hasFields, isObject, readObject } from "./strict-json.js";
import { isTime } from "./times.js";

const STATEMENT_TYPE = "https://in-toto.io/Statement/v1";
const PREDICATE_TYPE = "urn:commun:answer-receipt:v1";
const MOST_TEXT = 255;
const MOST_NOTES = 64;
const MOST_NOTE = 1000;
const MOST_NAMES = 64;
const MOST_COUNT = 2 ** 31 - 1;
const MOST_EDITION = 100000;
const MOST_SEED = 2 ** 32 - 1;

const matches = (pattern) => (value) => typeof value === "string" && pattern.test(value);
const oneOf = (...values) => (value) => values.includes(value);
const number = (least, most) => (value) => Number.isSafeInteger(value) && least <= value && value <= most;
const digest = matches(/^[0-9a-f]{64}$/);
const digestOrNone = (value) => value === null || digest(value);
const nonceBefore = matches(/^(?:[0-9a-f]{2}){0,64}$/);
const nonce = matches(/^(?:[0-9a-f]{2}){16,64}$/);
const decimal = matches(/^(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{0,399}[1-9])?$/);
const name = matches(/^[a-z0-9][a-z0-9._/-]{0,63}$/);
const flag = oneOf(true, false);
const text = (value) => typeof value === "string" && length(value) <= MOST_TEXT && isPrintable(value);
const filled = (value) => text(value) && value !== "";

// Each field's check; an object's is a table of its own.
const PREDICATE = {
  receipt: digest,
  state: oneOf("complete", "stopped", "failed", "interrupted"),
  error: matches(/^[a-z0-9_]{0,64}$/),
  finish: oneOf("stop", "length", "cancelled"),
  began: isTime,
  ended: isTime,
  charter: { edition: number(1, MOST_EDITION), digest, first_root: digest, stale: flag },
  model: { id: filled, digest: (value) => value === "" || digest(value) },
  engine: { name: text, version: text, profile: oneOf("exact", "fast", "remote"), notes: isNotes },
  software: filled,
  sampler: { id: name, temperature: decimal, top_p: decimal, max_tokens: number(1, MOST_COUNT), ignore_eos: flag },
  seed: isSeed,
  context: { kind: oneOf("chat", "text"), policy: name, kept: number(0, MOST_COUNT), dropped: number(0, MOST_COUNT) },
  persona: text,
  language: oneOf("en", "fr"),
  sources: isNames,
  tools: isNames,
  tokens: { prompt: number(0, MOST_COUNT), answer: number(0, MOST_COUNT) },
  commitments: Object.fromEntries(Object.keys(FIELDS).map((field) => [field, field === "answer_text" ? digest : digestOrNone])),
  ledger: text,
};

// Gives the predicate.
export async function readStatement(payload) {
  const value = canonical(payload);
  if (value._type !== STATEMENT_TYPE || value.predicateType !== PREDICATE_TYPE) {
    throw new Refusal("statement-type", "it is no receipt of a kind that is known here");
  }
  if (!hasFields(value, ["_type", "subject", "predicateType", "predicate"])) fault("the statement");
  check(value.predicate, PREDICATE, "the predicate");
  const { subject, predicate } = value;
  const holds =
    Array.isArray(subject) &&
    subject.length === 1 &&
    hasFields(subject[0], ["name", "digest"]) &&
    subject[0].name === "answer" &&
    hasFields(subject[0].digest, ["hmacSha256"]) &&
    subject[0].digest.hmacSha256 === predicate.commitments.answer_text;
  if (!holds) fault("the subject, which has to be the answer committed to");
  checkTogether(predicate);
  if (!(await isOwnId(predicate))) throw new Refusal("statement-contradiction", "the receipt's id is not the one that epoch and nonce give");
  return predicate;
}

function canonical(payload) {
  try {
    const value = readObject(payload);
    if (equal(rfc8785(value), payload)) return value;
  } catch (error) {
    if (!(error instanceof NotStrict || error instanceof NotCanonical || error instanceof BadWriting)) throw error;
  }
  throw new Refusal("statement-not-canonical", "the statement is not strict JSON in the form of RFC 8785");
}

function fault(what) {
  throw new Refusal("statement-fields", `${what} is missing, unknown, of another type or beyond its bound`);
}

function check(value, table, what) {
  if (!hasFields(value, Object.keys(table))) fault(`a field of ${what}`);
  for (const [field, expected] of Object.entries(table)) {
    if (typeof expected === "object") check(value[field], expected, field);
    else if (!expected(value[field])) fault(field);
  }
}

function length(value) {
  return Array.from(value).length;
}

// No control, format, private or unassigned character and no separator, save the space.
function isPrintable(value) {
  return /^(?:[^\p{C}\p{Z}]| )*$/u.test(value);
}

function isNotes(value) {
  if (!isObject(value) || Object.keys(value).length > MOST_NOTES) return false;
  return Object.entries(value).every(([key, note]) => filled(key) && typeof note === "string" && length(note) <= MOST_NOTE);
}

function isNames(value) {
  if (!Array.isArray(value) || value.length > MOST_NAMES) return false;
  return value.every((each, at) => name(each) && (at === 0 || value[at - 1] < each));
}

function isSeed(value) {
  const plain = { scheme: oneOf("caller", "drawn", "remote"), value: number(0, MOST_SEED) };
  const before = { scheme: oneOf("derived/1"), value: number(0, MOST_SEED), epoch: digest, salt: digest, nonce: nonceBefore };
  const by = oneOf("caller", "server");
  const derived = { scheme: oneOf(DERIVED), value: number(0, MOST_SEED), epoch: digest, salt: digest, nonce, nonce_by: by };
  const holds = (table) => Object.entries(table).every(([field, check]) => check(value[field]));
  return [plain, before, derived].some((table) => hasFields(value, Object.keys(table)) && holds(table));
}

function checkTogether({ began, ended, state, error, finish, engine, model, sampler, seed, commitments, tokens }) {
  const remote = engine.profile === "remote";
  const contradictions = [
    [ended < began, "it ended before it began"],
    [(state === "failed") !== (error !== ""), "a failure has a code, and nothing else has"],
    [state === "complete" && finish === "cancelled", "a complete answer was not cut off"],
    [state === "complete" && engine.name === "", "a complete answer has an engine"],
    [(model.digest === "") !== remote, "a model without a digest is a remote one"],
    [(sampler.id === "remote") !== remote, "a remote engine has a remote sampler, and no other has"],
    [seed.scheme === "remote" && !remote, "only a remote engine has a remote seed"],
    [commitments.logprobs !== null && commitments.answer_token_ids === null, "log-probabilities without tokens"],
    [!remote && tokens.answer > sampler.max_tokens, "the answer is longer than it could be"],
  ];
  for (const [holds, detail] of contradictions) {
    if (holds) throw new Refusal("statement-contradiction", detail);
  }
}
