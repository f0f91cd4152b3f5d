// The seed that neither who answers nor who asks can choose (docs/spec/receipt.md, "Seed").
//
//   S     = HMAC-SHA-256(secret, "commun-seed/2\n" then N)
//   T     = SHA-256("commun-receipt-id/2\n" then the epoch's 32 bytes then N), which is the receipt's id
//   value = the last four bytes, big-endian, of SHA-256(S then N then T)

import { concat, equal, fromHex, hex, hmac, sha256, utf8 } from "./bytes.js";
import { Refusal } from "./refusal.js";

export const DERIVED = "derived/2";
const say = (text, details = {}) => ({ text, details });

// Of a statement whose fields are checked.
export async function isOwnId({ receipt, seed }) {
  if (seed.scheme !== DERIVED) return true;
  const given = concat(utf8("commun-receipt-id/2\n"), fromHex(seed.epoch), fromHex(seed.nonce));
  return hex(await sha256(given)) === receipt;
}

// Step 4. `shown`: the bundle's, or null.
export async function checkShownSeed(shown, { receipt, seed }, { proves, missing }) {
  if (seed.scheme !== DERIVED) {
    if (shown !== null) throw new Refusal("seed-absent", "the receipt's seed was not derived from a nonce");
    return;
  }
  if (shown === null) {
    missing.push(say("The salt of the seed: withheld; whoever has it can still show it."));
    return;
  }
  if (hex(await sha256(shown.salt)) !== seed.salt) throw new Refusal("seed-mismatch", "the salt of the seed is not what was committed to");
  const digest = await sha256(concat(shown.salt, fromHex(seed.nonce), fromHex(receipt)));
  const value = new DataView(digest.buffer, digest.byteOffset + digest.length - 4, 4).getUint32(0);
  if (value !== seed.value) throw new Refusal("seed-mismatch", "the seed is not the one that salt, nonce and id give");
  const isCallers = seed.nonce_by === "caller";
  if (isCallers) proves.push(say("The seed follows from the server's salt and from a nonce that whoever asked drew."));
  else proves.push(say("The seed follows from a salt and a nonce; the server drew both."));
}

// Step 7. `found`: what ledger.js gives.
export async function checkDerivation(shown, { seed }, found, { proves, missing }) {
  if (shown === null || found === null) return;
  if (found.openedIndex !== null) {
    proves.push(say("The digest of the secret that the salt comes from is entry %(index)s, before the receipt.", { index: found.openedIndex }));
  }
  if (found.secretIndex === null) return;
  const salt = await hmac(found.secret, concat(utf8("commun-seed/2\n"), fromHex(seed.nonce)));
  if (!equal(salt, shown.salt)) throw new Refusal("seed-not-derived", "the published secret gives another salt");
  if (found.index === null) return;
  if (found.index > found.secretIndex) {
    missing.push(say("The seed's secret was published before the receipt was logged: the seed could be chosen."));
  } else if (found.openedIndex === null) {
    missing.push(say("Nothing shows that the seed's secret existed before the receipt: the seed could be chosen."));
  } else {
    proves.push(say("The secret was published later, as entry %(index)s, and gives this very seed.", { index: found.secretIndex }));
  }
}
