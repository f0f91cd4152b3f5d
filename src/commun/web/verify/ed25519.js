// Ed25519 (RFC 8032): which public keys are accepted, and whether one has signed a message.
//
// - A key is refused (BadKey) whose encoding is not the canonical one, that is no point of the curve, or that is one of the
//   eight points of small order: verifiers disagree about signatures under such keys.
// - A signature has 64 bytes, and its second half is below the order L: engines differ where it is not.
// - The equation is the one without a cofactor, compared as bytes (R = [S]B - [k]A), which is what WebCrypto's engines
//   compute. Where an engine has no Ed25519, it is computed here; the tests compare both.
// Nothing here is secret, so nothing has to take the same time.

import { concat, equal, sha512 } from "./bytes.js";

export class BadKey extends Error {}

const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const D = mod(-121665n * inverse(121666n));
const ROOT_OF_MINUS_ONE = power(2n, (P - 1n) / 4n);
const IDENTITY = { x: 0n, y: 1n, z: 1n, t: 0n };
const BASE = decoded(mod(4n * inverse(5n)), 0n);

export function checkPublicKey(key) {
  point(key);
}

export async function verify(key, message, signature) {
  checkPublicKey(key);
  if (signature.length !== 64 || number(signature.subarray(32)) >= L) return false;
  let imported;
  try {
    imported = await globalThis.crypto.subtle.importKey("raw", key, { name: "Ed25519" }, false, ["verify"]);
  } catch {
    return verifyHere(key, message, signature);
  }
  return globalThis.crypto.subtle.verify({ name: "Ed25519" }, imported, signature, message);
}

// The same without the engine's Ed25519.
export async function verifyHere(key, message, signature) {
  const a = point(key);
  if (signature.length !== 64) return false;
  const r = signature.subarray(0, 32);
  const s = number(signature.subarray(32));
  if (s >= L) return false;
  const k = number(await sha512(concat(r, key, message))) % L;
  const minusA = { x: mod(-a.x), y: a.y, z: a.z, t: mod(-a.t) };
  return equal(encoded(add(times(s, BASE), times(k, minusA))), r);
}

function point(key) {
  if (key.length !== 32) throw new BadKey("a key of Ed25519 has 32 bytes");
  const whole = number(key);
  const y = whole & (2n ** 255n - 1n);
  if (y >= P) throw new BadKey("the key is not in its canonical encoding");
  const found = decoded(y, whole >> 255n);
  if (found === null) throw new BadKey("the key is no point of the curve, or not in its canonical encoding");
  const eightfold = double(double(double(found)));
  if (eightfold.x === 0n && eightfold.y === eightfold.z) throw new BadKey("the key is a point of small order");
  return found;
}

// RFC 8032, section 5.1.3. null: there is no such point.
function decoded(y, sign) {
  const u = mod(y * y - 1n);
  const v = mod(D * y * y + 1n);
  const v3 = mod(v * v * v);
  let x = mod(u * v3 * power(mod(u * v3 * v3 * v), (P - 5n) / 8n));
  const square = mod(v * x * x);
  if (square !== u) {
    if (square !== mod(-u)) return null;
    x = mod(x * ROOT_OF_MINUS_ONE);
  }
  if (x === 0n && sign === 1n) return null;
  if ((x & 1n) !== sign) x = P - x;
  return { x, y, z: 1n, t: mod(x * y) };
}

// RFC 8032, section 5.1.4.
function add(one, other) {
  const a = mod((one.y - one.x) * (other.y - other.x));
  const b = mod((one.y + one.x) * (other.y + other.x));
  const c = mod(2n * D * one.t * other.t);
  const d = mod(2n * one.z * other.z);
  return extended(b - a, d - c, d + c, b + a);
}

function double(one) {
  const a = mod(one.x * one.x);
  const b = mod(one.y * one.y);
  const c = mod(2n * one.z * one.z);
  const h = a + b;
  const e = mod(h - (one.x + one.y) * (one.x + one.y));
  const g = a - b;
  return extended(e, c + g, g, h);
}

function extended(e, f, g, h) {
  return { x: mod(e * f), y: mod(g * h), z: mod(f * g), t: mod(e * h) };
}

function times(scalar, one) {
  let sum = IDENTITY;
  for (const digit of scalar.toString(2)) {
    sum = double(sum);
    if (digit === "1") sum = add(sum, one);
  }
  return sum;
}

function encoded({ x, y, z }) {
  const shrink = inverse(z);
  let whole = mod(y * shrink) | ((mod(x * shrink) & 1n) << 255n);
  return Uint8Array.from({ length: 32 }, () => {
    const byte = Number(whole & 255n);
    whole >>= 8n;
    return byte;
  });
}

function number(bytes) {
  let value = 0n;
  for (let at = bytes.length - 1; at >= 0; at--) value = (value << 8n) | BigInt(bytes[at]);
  return value;
}

function mod(value) {
  const rest = value % P;
  return rest < 0n ? rest + P : rest;
}

function inverse(value) {
  return power(mod(value), P - 2n);
}

function power(base, exponent) {
  let result = 1n;
  for (const digit of exponent.toString(2)) {
    result = mod(result * result);
    if (digit === "1") result = mod(result * base);
  }
  return result;
}
