// Signed notes and checkpoints (C2SP signed-note, tlog-checkpoint; docs/spec/ledger.md for where this is stricter).
//
// Nothing here is verified yet: cosignature.js does that. What has not the form is a BadForm.

import { BadWriting, equal, fromBase64, hex, utf8 } from "./bytes.js";
import { MOST } from "./merkle.js";

const MOST_NOTE_BYTES = 1000000;
const MOST_SIGNATURES = 100;
const KEY_ID_BYTES = 4;
const LINE = /^\u2014 ([^ ]+) ([A-Za-z0-9+/=]+)$/;
// SHA-256 of nothing: the root of no leaves.
const EMPTY_ROOT = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

export class BadForm extends Error {}

// Gives { text, signatures: [{ name, id (hex), value }] }.
export function readNote(source) {
  if (utf8(source).length > MOST_NOTE_BYTES) throw new BadForm("the note is longer than its bound");
  if (/[\u0000-\u0009\u000b-\u001f]/.test(source)) throw new BadForm("a control character in the note");
  const cut = source.lastIndexOf("\n\n");
  if (cut < 0 || !source.endsWith("\n") || cut + 2 === source.length) throw new BadForm("a note is a text, an empty line and signatures");
  const lines = source.slice(cut + 2, -1).split("\n");
  if (lines.length > MOST_SIGNATURES) throw new BadForm("more signatures than a note may have");
  return { text: source.slice(0, cut + 1), signatures: lines.map(readSignature) };
}

function readSignature(line) {
  const found = LINE.exec(line);
  if (!found || !isKeyName(found[1])) throw new BadForm("a signature line of another form");
  const bytes = canonicalBase64(found[2], "a signature");
  if (bytes.length <= KEY_ID_BYTES) throw new BadForm("a signature without a signature");
  return { name: found[1], id: hex(bytes.subarray(0, KEY_ID_BYTES)), value: bytes.subarray(KEY_ID_BYTES) };
}

// Not empty, no space of Unicode's, no plus, nothing below U+0020. Lines of unknown keys may carry any such name.
export function isKeyName(name) {
  return name !== "" && !/[\p{White_Space}\u0000-\u001f+]/u.test(name);
}

// Gives { origin, size, root, extensions }.
export function readCheckpoint(text) {
  const [origin, size, root, ...extensions] = text.slice(0, -1).split("\n");
  if (!origin || root === undefined || extensions.includes("")) throw new BadForm("a head has three lines, and none is empty");
  const checkpoint = { origin, size: readNumber(size, "the size"), root: readHash(root), extensions };
  if (checkpoint.size === 0n && hex(checkpoint.root) !== EMPTY_ROOT) throw new BadForm("an empty tree has another root");
  return checkpoint;
}

export function isSameCheckpoint(one, other) {
  const parts = ({ origin, size, extensions }) => [origin, String(size), ...extensions].join("\n");
  return parts(one) === parts(other) && equal(one.root, other.root);
}

export function readNumber(text, what) {
  const holds = /^(?:0|[1-9][0-9]{0,18})$/.test(text) && BigInt(text) <= MOST;
  if (!holds) throw new BadForm(`${what} is not a whole number from 0 to 2^63 - 1`);
  return BigInt(text);
}

export function readHash(text) {
  const hash = canonicalBase64(text, "a hash");
  if (hash.length !== 32) throw new BadForm("a hash has 32 bytes");
  return hash;
}

export function canonicalBase64(text, what) {
  try {
    return fromBase64(text);
  } catch (error) {
    if (error instanceof BadWriting) throw new BadForm(`${what}: ${error.message}`);
    throw error;
  }
}
