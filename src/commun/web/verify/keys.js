// Keys of logs and witnesses: `name+hex(key id)+base64(type ‖ public key)` (C2SP signed-note, docs/spec/ledger.md).
// Another text, a wrong id, an unknown type, a length or a point that cannot be: BadForm.

import { concat, hex, sha256, utf8 } from "./bytes.js";
import { BadKey, checkPublicKey } from "./ed25519.js";
import { PUBLIC_BYTES as ML_DSA_44_BYTES } from "./mldsa.js";
import { BadForm, canonicalBase64, isKeyName } from "./note.js";

export const ED25519 = 1;
export const ED25519_COSIGNATURE = 4;
export const ML_DSA_44 = 6;
const PUBLIC_BYTES = new Map([[ED25519, 32], [ED25519_COSIGNATURE, 32], [ML_DSA_44, ML_DSA_44_BYTES]]);
const MOST_NAME_BYTES = 255;

// Gives { name, id (hex), type, public }.
export async function readKey(text) {
  const found = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/.exec(text);
  if (!found || !isKeyName(found[1]) || utf8(found[1]).length > MOST_NAME_BYTES) throw new BadForm("not the text of a key");
  const [, name, id, encoded] = found;
  const bytes = canonicalBase64(encoded, "a key");
  const type = bytes[0];
  const key = { name, id, type, public: bytes.subarray(1) };
  if (PUBLIC_BYTES.get(type) !== key.public.length) throw new BadForm("a key of an unknown type or another length");
  if (hex((await sha256(concat(utf8(`${name}\n`), bytes))).subarray(0, 4)) !== id) throw new BadForm("a key under another key's id");
  if (type !== ML_DSA_44) checkPoint(key.public);
  return key;
}

export function isSameKey(one, other) {
  return one.name === other.name && one.type === other.type && hex(one.public) === hex(other.public);
}

function checkPoint(bytes) {
  try {
    checkPublicKey(bytes);
  } catch (error) {
    if (error instanceof BadKey) throw new BadForm(error.message);
    throw error;
  }
}
