// Who has signed a checkpoint (C2SP signed-note, tlog-cosignature; docs/spec/ledger.md, "In what order a verifier decides").
//
// - every line whose name and key id are a known key's is verified, and one that does not verify refuses the whole;
// - lines of unknown keys are ignored;
// - a key of the log itself has to be among them.

import { concat, utf8 } from "./bytes.js";
import { verify as verifyEd25519 } from "./ed25519.js";
import { ED25519, ED25519_COSIGNATURE, isSameKey } from "./keys.js";
import { MOST } from "./merkle.js";
import { verify as verifyMlDsa } from "./mldsa.js";
import { Refusal } from "./refusal.js";

const TIME_BYTES = 8;
const MOST_NAME_BYTES = 255;

// `logs`: keys that may sign for the log of their name. Gives [{ key, time (BigInt, 0n: none is stated) }].
export async function checkSigned({ note, checkpoint }, logs, witnesses) {
  const own = logs.filter(({ name }) => name === checkpoint.origin);
  if (own.length === 0) refuse("no key is known that signs for this ledger");
  const known = new Map();
  for (const key of [...own, ...witnesses]) {
    const line = `${key.name} ${key.id}`;
    if (known.has(line) && !isSameKey(known.get(line), key)) refuse("two known keys share name and id");
    known.set(line, key);
  }
  const signed = [];
  for (const { name, id, value } of note.signatures) {
    const key = known.get(`${name} ${id}`);
    if (key === undefined) continue;
    const time = await checkLine(key, value, note.text, checkpoint);
    if (time === null) refuse(`the signature of ${name} is not its own`);
    signed.push({ key, time });
  }
  if (!signed.some(({ key }) => own.some((each) => isSameKey(each, key)))) refuse("the ledger has not signed its head");
  return signed;
}

function refuse(detail) {
  throw new Refusal("checkpoint-unsigned", detail);
}

// The time that is stated; null: the line is not the key's.
async function checkLine(key, value, text, checkpoint) {
  if (key.type === ED25519) return (await verifyEd25519(key.public, utf8(text), value)) ? 0n : null;
  if (value.length < TIME_BYTES) return null;
  const time = new DataView(value.buffer, value.byteOffset, TIME_BYTES).getBigUint64(0);
  const signature = value.subarray(TIME_BYTES);
  if (time > MOST) return null;
  if (key.type === ED25519_COSIGNATURE) {
    return (await verifyEd25519(key.public, utf8(`cosignature/v1\ntime ${time}\n${text}`), signature)) ? time : null;
  }
  const message = subtree(key.name, time, checkpoint);
  return message !== null && verifyMlDsa(key.public, message, signature) ? time : null;
}

function subtree(name, time, { origin, size, root }) {
  const [cosigner, log] = [utf8(name), utf8(origin)];
  if (log.length > MOST_NAME_BYTES) return null;
  return concat(utf8("subtree/v1\n\0"), short(cosigner), long(time), short(log), long(0n), long(size), root);
}

function short(bytes) {
  return concat(Uint8Array.of(bytes.length), bytes);
}

function long(value) {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  return bytes;
}
