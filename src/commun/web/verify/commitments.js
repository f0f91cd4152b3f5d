// Commitments: HMAC-SHA-256 of a value under a salt of its own (docs/spec/receipt.md, "Commitments").
//
// FIELDS has them in the table's order; each one's `holds` says whether a value can be the field's, `encoded` gives the
// bytes that are committed to.

import { concat, hex, hmac, joined, utf8 } from "./bytes.js";
import { Refusal } from "./refusal.js";
import { hasFields } from "./strict-json.js";

export const SALT_BYTES = 32;
const MOST_TOKEN_ID = 2 ** 32 - 1;

const tokens = { holds: isTokens, encoded: (value) => joined(value.map(long)) };
const text = { holds: isText, encoded: utf8 };
const texts = { holds: (value) => Array.isArray(value) && value.every(isText), encoded: (value) => joined(value.map(sized)) };
const messages = { holds: isMessages, encoded: (value) => joined(value.flatMap(({ role, content }) => [sized(role), sized(content)])) };

export const FIELDS = {
  prompt_token_ids: tokens,
  prompt_messages: messages,
  answer_token_ids: tokens,
  answer_text: text,
  logprobs: { holds: isFigures, encoded: figures },
  stop: texts,
  schema: text,
};

function isText(value) {
  return typeof value === "string";
}

function isTokens(value) {
  return Array.isArray(value) && value.every((each) => Number.isSafeInteger(each) && each >= 0 && each <= MOST_TOKEN_ID);
}

function isMessages(value) {
  const isMessage = (each) => hasFields(each, ["role", "content"]) && isText(each.role) && isText(each.content);
  return Array.isArray(value) && value.every(isMessage);
}

// A whole number beyond 2^53 - 1 is no Number (strict-json.js).
function isFigures(value) {
  return Array.isArray(value) && value.every((each) => Number.isSafeInteger(each));
}

function long(value) {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

function sized(value) {
  const bytes = utf8(value);
  return concat(long(bytes.length), bytes);
}

function figures(value) {
  const view = new DataView(new ArrayBuffer(8 * value.length));
  value.forEach((each, at) => view.setBigInt64(8 * at, BigInt(each)));
  return new Uint8Array(view.buffer);
}

// `disclosed`: { salt, value }; `predicate`: the statement's, checked.
export async function checkDisclosed(name, disclosed, predicate) {
  const committed = predicate.commitments[name];
  if (committed === null) throw new Refusal("commitment-absent", `the receipt commits to no ${name}`);
  if (hex(await hmac(disclosed.salt, FIELDS[name].encoded(disclosed.value))) !== committed) {
    throw new Refusal("commitment-mismatch", `${name} is not what was committed to`);
  }
  const [counted, told] = counts(name, disclosed.value, predicate);
  if (counted !== told) throw new Refusal("count-mismatch", `${name}: ${counted} are shown, and the receipt counts ${told}`);
}

function counts(name, value, { tokens, context }) {
  if (name === "prompt_token_ids") return [value.length, tokens.prompt];
  if (name === "answer_token_ids" || name === "logprobs") return [value.length, tokens.answer];
  if (name === "prompt_messages") return [value.filter(({ role }) => role !== "system" && role !== "text").length, context.kept];
  return [0, 0];
}
