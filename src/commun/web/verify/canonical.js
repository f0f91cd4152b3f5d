// The two canonical writings of JSON that are signed here.
//
// - `rfc8785`: RFC 8785, of what strict-json.js reads: names in the order of their UTF-16 code units, texts as ECMAScript
//   writes them, whole numbers up to 2^53 - 1 on either side of 0. Others are a NotCanonical.
// - `tufCanonical`: the canonical JSON that TUF's metadata is signed in (docs/spec/charter.md): names in the order of their
//   code points; of a text only the quotation mark and the backslash are escaped, everything else stands as it is; whole
//   numbers of any length.

import { utf8 } from "./bytes.js";

export class NotCanonical extends Error {}

export function rfc8785(value) {
  return utf8(written(value, { text: JSON.stringify, number: exact, order: byCodeUnit }));
}

export function tufCanonical(value) {
  return utf8(written(value, { text: barely, number: String, order: byCodePoint }));
}

// Recursive: strict-json.js bounds the levels.
function written(value, form) {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "string") return form.text(value);
  if (typeof value === "number" || typeof value === "bigint") return form.number(value);
  if (Array.isArray(value)) return `[${value.map((each) => written(each, form)).join(",")}]`;
  const names = Object.keys(value).sort(form.order);
  return `{${names.map((name) => `${form.text(name)}:${written(value[name], form)}`).join(",")}}`;
}

function exact(value) {
  if (!Number.isSafeInteger(value)) throw new NotCanonical("a number beyond 2^53");
  return String(value);
}

function barely(text) {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

function byCodeUnit(one, other) {
  return one < other ? -1 : one > other ? 1 : 0;
}

// UTF-16 puts what lies beyond 16 bits (its surrogates are D800 to DFFF) before E000 to FFFF; code points do not.
function byCodePoint(one, other) {
  const a = Array.from(one);
  const b = Array.from(other);
  for (let at = 0; at < Math.min(a.length, b.length); at++) {
    if (a[at] !== b[at]) return a[at].codePointAt(0) - b[at].codePointAt(0);
  }
  return a.length - b.length;
}
