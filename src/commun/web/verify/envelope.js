// The envelope: DSSE, narrowed so that it has one writing (docs/spec/receipt.md, "Envelope"), and the key that signed it.

import { BadWriting, concat, equal, fromBase64, fromHex, hex, sha256, utf8 } from "./bytes.js";
import { rfc8785 } from "./canonical.js";
import { BadKey, checkPublicKey, verify } from "./ed25519.js";
import { Refusal } from "./refusal.js";
import { NotStrict, hasFields, readObject } from "./strict-json.js";

const PAYLOAD_TYPE = "application/vnd.in-toto+json";
const MOST_PAYLOAD_BYTES = 65536;
const MOST_ENVELOPE_BYTES = 2 * MOST_PAYLOAD_BYTES;

// `text`: the bundle's field. Gives { bytes, payload, keyid, signature }.
export function readEnvelope(text) {
  const bytes = utf8(text);
  if (bytes.length > MOST_ENVELOPE_BYTES) throw new Refusal("envelope-form", "the envelope is longer than its bound");
  const value = form(text);
  if (!equal(rfc8785(value), bytes)) throw new Refusal("envelope-form", "the envelope is not written as RFC 8785 has it");
  const payload = decoded(value.payload, "the payload");
  if (payload.length > MOST_PAYLOAD_BYTES) throw new Refusal("envelope-form", "the payload is longer than its bound");
  const [{ keyid, sig }] = value.signatures;
  return { bytes, payload, keyid, signature: decoded(sig, "the signature") };
}

function form(text) {
  let value;
  try {
    value = readObject(text);
  } catch (error) {
    if (error instanceof NotStrict) throw new Refusal("envelope-form", `the envelope: ${error.message}`);
    throw error;
  }
  const signature = Array.isArray(value.signatures) && value.signatures.length === 1 ? value.signatures[0] : null;
  const holds =
    hasFields(value, ["payload", "payloadType", "signatures"]) &&
    typeof value.payload === "string" &&
    value.payloadType === PAYLOAD_TYPE &&
    hasFields(signature, ["keyid", "sig"]) &&
    typeof signature.keyid === "string" &&
    typeof signature.sig === "string";
  if (!holds) throw new Refusal("envelope-form", "the envelope has other fields than an envelope has");
  return value;
}

export function decoded(text, what) {
  try {
    return fromBase64(text);
  } catch (error) {
    if (error instanceof BadWriting) throw new Refusal("not-base64", `${what}: ${error.message}`);
    throw error;
  }
}

// "ed25519:" and 64 digits; gives the 32 bytes.
export function readReceiptKey(text) {
  if (!/^ed25519:[0-9a-f]{64}$/.test(text)) {
    throw new Refusal("bad-key", "a receipt's key is ed25519: and 64 small hexadecimal digits");
  }
  const key = fromHex(text.slice("ed25519:".length));
  try {
    checkPublicKey(key);
  } catch (error) {
    if (error instanceof BadKey) throw new Refusal("bad-key", error.message);
    throw error;
  }
  return key;
}

// `trusted`: texts of keys; none: any key may have signed.
export async function checkSignature(envelope, keyText, trusted) {
  const key = readReceiptKey(keyText);
  const known = trusted.map(readReceiptKey);
  if (known.length > 0 && !known.some((each) => equal(each, key))) {
    throw new Refusal("unknown-key", "the receipt is signed by a key that is not among the reader's");
  }
  if (envelope.keyid !== hex(await sha256(key))) throw new Refusal("unknown-key", "the envelope names another key");
  if (!(await verify(key, signed(envelope.payload), envelope.signature))) {
    throw new Refusal("wrong-signature", "the signature is not this key's on this statement");
  }
}

function signed(payload) {
  return concat(utf8(`DSSEv1 ${PAYLOAD_TYPE.length} ${PAYLOAD_TYPE} ${payload.length} `), payload);
}
