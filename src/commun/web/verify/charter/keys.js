// The board's keys: Ed25519 and ECDSA P-256, as a charter writes them and as its metadata does, and their signatures.
//
// - in charter.toml: `ed25519:` and 64 hexadecimal digits, or `ecdsa-p256:` and base64 of the SubjectPublicKeyInfo, which
//   has one form here: DER, the named curve, the uncompressed point (91 bytes);
// - in metadata: {"keytype", "keyval": {"public"}, "scheme"}, the Ed25519 key in hexadecimal, the other one as PEM with
//   lines of 64 characters and a line end after the last; the key's id is SHA-256 of that object's canonical JSON;
// - refused: another kind, another writing, another id, a point that is not on the curve, an Ed25519 point of small order;
// - an ECDSA signature is DER in its one form, r and s from 1 on and below the group's order; either of s and n - s is
//   accepted, as every verifier of TUF does: what counts here are keys that have signed, not signatures.

import { BadKey, checkPublicKey, verify } from "../ed25519.js";
import { BadWriting, base64, concat, fromBase64, fromHex, hex, sha256 } from "../bytes.js";
import { tufCanonical } from "../canonical.js";
import { charterRefusal, hasCharterFields } from "./values.js";

const CHARTER_KEY_MOST = 256; // characters
const P256_PREFIX = fromHex("3059301306072a8648ce3d020106082a8648ce3d03010703420004");
const P256_P = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
const P256_B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;
const P256_N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const PEM_BEGIN = "-----BEGIN PUBLIC KEY-----\n";
const PEM_END = "\n-----END PUBLIC KEY-----\n";

// {id, kind: "ed25519" or "ecdsa", bytes}: 32 bytes, or the SubjectPublicKeyInfo.
export async function charterKeyFromText(text) {
  if (text.length > CHARTER_KEY_MOST) throw charterRefusal("a member's key is too long");
  const ed25519 = /^ed25519:([0-9a-f]{64})$/.exec(text);
  if (ed25519 !== null) return charterKey("ed25519", fromHex(ed25519[1]));
  if (!text.startsWith("ecdsa-p256:")) throw charterRefusal("a member's key is of no known form");
  return charterKey("ecdsa", charterBase64(text.slice("ecdsa-p256:".length)));
}

// `value`: the object in a root's `keys`, whose name there is `id`.
export async function charterKeyFromMetadata(id, value) {
  if (!hasCharterFields(value, ["keytype", "keyval", "scheme"])) throw charterRefusal("a key has other fields than a key's");
  const { keytype, keyval, scheme } = value;
  if (!hasCharterFields(keyval, ["public"]) || typeof keyval.public !== "string") {
    throw charterRefusal("a key has other fields than a key's");
  }
  let key;
  if (keytype === "ed25519" && scheme === "ed25519" && /^[0-9a-f]{64}$/.test(keyval.public)) {
    key = await charterKey("ed25519", fromHex(keyval.public));
  } else if (keytype === "ecdsa" && scheme === "ecdsa-sha2-nistp256") {
    key = await charterKey("ecdsa", charterPem(keyval.public));
  } else {
    throw charterRefusal("a key is neither Ed25519 nor ECDSA P-256");
  }
  if (key.id !== id) throw charterRefusal("a key stands under another id than its own");
  return key;
}

// Whether `key` has signed `message`; anything else than a signature is none.
export async function hasCharterSigned(key, message, signature) {
  if (key.kind === "ed25519") return verify(key.bytes, message, signature);
  const plain = ecdsaPlain(signature);
  if (plain === null) return false;
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const imported = await globalThis.crypto.subtle.importKey("spki", key.bytes, algorithm, false, ["verify"]);
  return globalThis.crypto.subtle.verify(algorithm, imported, plain, message);
}

async function charterKey(kind, bytes) {
  if (kind === "ed25519") checkCharterEd25519(bytes);
  else checkP256(bytes);
  const written =
    kind === "ed25519"
      ? { keytype: "ed25519", keyval: { public: hex(bytes) }, scheme: "ed25519" }
      : { keytype: "ecdsa", keyval: { public: pemOf(bytes) }, scheme: "ecdsa-sha2-nistp256" };
  return { id: hex(await sha256(tufCanonical(written))), kind, bytes };
}

function checkCharterEd25519(bytes) {
  try {
    checkPublicKey(bytes);
  } catch (error) {
    if (!(error instanceof BadKey)) throw error;
    throw charterRefusal(`a member's key: ${error.message}`);
  }
}

function checkP256(der) {
  const coordinates = der.subarray(P256_PREFIX.length);
  if (coordinates.length !== 64 || !P256_PREFIX.every((byte, at) => byte === der[at])) {
    throw charterRefusal("a key is not on the curve P-256, or written in another form");
  }
  const x = bigEndian(coordinates.subarray(0, 32));
  const y = bigEndian(coordinates.subarray(32));
  if (x >= P256_P || y >= P256_P || (y * y - (x * x * x - 3n * x + P256_B)) % P256_P !== 0n) {
    throw charterRefusal("a key is no point of the curve P-256");
  }
}

function pemOf(der) {
  return PEM_BEGIN + base64(der).replace(/(.{64})(?=.)/g, "$1\n") + PEM_END;
}

function charterPem(text) {
  if (!text.startsWith(PEM_BEGIN) || !text.endsWith(PEM_END)) throw charterRefusal("a key is not written in PEM");
  const der = charterBase64(text.slice(PEM_BEGIN.length, -PEM_END.length).replaceAll("\n", ""));
  if (pemOf(der) !== text) throw charterRefusal("a key is written in another form of PEM");
  return der;
}

function charterBase64(text) {
  try {
    return fromBase64(text);
  } catch (error) {
    if (!(error instanceof BadWriting)) throw error;
    throw charterRefusal(`a key: ${error.message}`);
  }
}

// From DER (RFC 3279, Ecdsa-Sig-Value) to the two numbers of 32 bytes each that WebCrypto takes; null for anything else.
function ecdsaPlain(der) {
  if (der.length < 8 || der[0] !== 0x30 || der[1] !== der.length - 2) return null;
  const r = derNumber(der.subarray(2));
  if (r === null) return null;
  const rest = der.subarray(4 + r.length);
  const s = derNumber(rest);
  if (s === null || rest.length !== 2 + s.length) return null;
  const numbers = [r, s].map((bytes) => (bytes[0] === 0 ? bytes.subarray(1) : bytes));
  for (const bytes of numbers) {
    const number = bigEndian(bytes);
    if (bytes.length > 32 || number === 0n || number >= P256_N) return null;
  }
  return concat(...numbers.flatMap((bytes) => [new Uint8Array(32 - bytes.length), bytes]));
}

// The contents of the whole number at the beginning, which is written in its one form and not below zero.
function derNumber(der) {
  const length = der[1];
  if (der[0] !== 0x02 || length === undefined || length === 0 || length > 33 || der.length < 2 + length) return null;
  const contents = der.subarray(2, 2 + length);
  if (contents[0] > 0x7f || (length > 1 && contents[0] === 0 && contents[1] < 0x80)) return null;
  return contents;
}

function bigEndian(bytes) {
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}
