// A file's TOML held against its schema: values as the clauses have them, or a refusal.
//
// - a key that the schema does not have is refused, and a missing one that may not be left out;
// - texts: counted in characters (code points) as they are written; no hidden character; a line has no line break, no tab
//   and no space at its ends; of a text the space at its ends is dropped; where there are choices it is one of them;
// - lists: no entry twice, and put in order, for their order says nothing;
// - decimals: a text without exponent and without idle zeros; whole numbers: Number, all of them below 2^53; dates: text.

import { Refusal } from "../refusal.js";
import { isObject } from "../strict-json.js";
import { decimalMillionths, decimalText } from "./decimal.js";
import { SCHEMA_VERSION } from "./schema.js";
import { TomlDecimal, TomlFault, TomlTime, readToml } from "./toml.js";

// Control characters, zero-width spaces, marks that turn the direction of writing, fillers, tags. Of the Unicode version
// that the specification names, not of the engine's.
const CHARTER_HIDDEN = new RegExp(
  "[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f-\\u1160\\u17b4-\\u17b5\\u180b-\\u180f\\u200b" +
    "\\u200e-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u3164\\ufeff\\uffa0\\ufff0-\\ufffb\\u{1bca0}-\\u{1bca3}" +
    "\\u{1d173}-\\u{1d17a}\\u{e0000}-\\u{e0fff}]",
  "u",
);

export function charterRefusal(detail) {
  return new Refusal("charter-invalid", detail);
}

// Whether `value`, out of strict JSON, is an object of exactly these fields.
export function hasCharterFields(value, names) {
  return isObject(value) && Object.keys(value).length === names.length && names.every((name) => Object.hasOwn(value, name));
}

export function hasHidden(text) {
  return CHARTER_HIDDEN.test(text);
}

// `text`: a file's, without hidden characters.
export function readCharterFile(name, text, schema) {
  let found;
  try {
    found = readToml(text);
  } catch (error) {
    if (!(error instanceof TomlFault)) throw error;
    throw charterRefusal(`${name} is not TOML 1.0: ${error.message}`);
  }
  return charterTable(schema, found, name);
}

// In the order of code points, which is not that of UTF-16.
export function byCharterCodePoint(one, other) {
  const a = Array.from(one);
  const b = Array.from(other);
  for (let at = 0; at < Math.min(a.length, b.length); at++) {
    if (a[at] !== b[at]) return a[at].codePointAt(0) - b[at].codePointAt(0);
  }
  return a.length - b.length;
}

function charterTable(schema, found, where) {
  if (!(found instanceof Map)) throw charterRefusal(`${where} is no table`);
  for (const name of found.keys()) {
    if (!schema.parts.has(name)) throw charterRefusal(`${where} has a key that means nothing`);
  }
  const values = {};
  for (const [name, part] of schema.parts) {
    const here = `${where}: ${name}`;
    if (found.has(name)) values[name] = charterValue(part, found.get(name), here);
    else if (part.absent !== undefined) values[name] = part.absent;
    else if (part.optional !== true) throw charterRefusal(`${here} is missing`);
  }
  return values;
}

function charterValue(part, found, where) {
  switch (part.kind) {
    case "table":
      return charterTable(part, found, where);
    case "tables":
      return charterTables(part, found, where);
    case "line":
    case "text":
      return charterText(part, found, where);
    case "list":
      return charterList(part, found, where);
    case "whole":
      return charterWhole(part, found, where);
    case "number":
      return charterNumber(part, found, where);
    case "flag":
      if (typeof found !== "boolean") throw charterRefusal(`${where} is neither true nor false`);
      return found;
    case "date":
      return charterDate(part, found, where);
    default:
      return charterDigests(part, found, where);
  }
}

function charterTables(part, found, where) {
  if (!Array.isArray(found) || found.length > part.most) throw charterRefusal(`${where} is no list of tables, or too long`);
  return found.map((each) => charterTable(part, each, where));
}

function charterText(part, found, where) {
  if (typeof found !== "string" || hasHidden(found)) throw charterRefusal(`${where} is no text, or has a hidden character`);
  if (part.choices !== undefined) {
    if (!part.choices.includes(found)) throw charterRefusal(`${where} is none of its choices`);
    return found;
  }
  const text = found.trim(); // where nothing is hidden, what this drops is what the specification calls space
  const length = Array.from(found).length;
  if ((text === "" && part.least > 0) || length > part.most) throw charterRefusal(`${where} is empty, or too long`);
  if (part.kind === "line" && (text !== found || /[\n\t]/.test(found))) throw charterRefusal(`${where} is not one line`);
  if (part.form !== undefined && found !== "" && !part.form.test(found)) throw charterRefusal(`${where} has another form`);
  return text;
}

function charterList(part, found, where) {
  if (!Array.isArray(found) || found.length > part.most) throw charterRefusal(`${where} is no list, or too long`);
  const texts = found.map((each) => charterText(part.item, each, where));
  if (new Set(texts).size !== texts.length) throw charterRefusal(`${where} has an entry twice`);
  return texts.sort(byCharterCodePoint);
}

function charterWhole(part, found, where) {
  if (typeof found !== "bigint" || found < part.least || found > part.most) {
    throw charterRefusal(`${where} is no whole number within its bounds`);
  }
  return part.asText ? String(found) : Number(found);
}

function charterNumber(part, found, where) {
  const isWhole = typeof found === "bigint";
  const value = isWhole ? found * 1000000n : found instanceof TomlDecimal ? decimalMillionths(found.text) : null;
  if (value === null || value < part.least || value > part.most) throw charterRefusal(`${where} is no number within its bounds`);
  return decimalText(value);
}

function charterDate(part, found, where) {
  if (!(found instanceof TomlTime) || found.kind !== "date" || found.text < part.least || found.text > part.most) {
    throw charterRefusal(`${where} is no date within its bounds`);
  }
  return found.text;
}

function charterDigests(part, found, where) {
  if (!(found instanceof Map) || found.size > part.most) throw charterRefusal(`${where} is no table of digests, or too long`);
  const pairs = [...found];
  for (const [version, digest] of pairs) {
    if (!SCHEMA_VERSION.test(version) || typeof digest !== "string" || !part.form.test(digest)) {
      throw charterRefusal(`${where} has an entry of another form`);
    }
  }
  return pairs.sort(([one], [other]) => byCharterCodePoint(one, other));
}
