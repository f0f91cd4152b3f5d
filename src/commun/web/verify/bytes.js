// Bytes and their writings: hexadecimal, base64 and UTF-8, each in its one form, and SHA-256 and HMAC over them.
//
// - hexadecimal: small digits, an even number of them;
// - base64: RFC 4648 section 4, padded, idle bits zero;
// - UTF-8: nothing is replaced, and a byte order mark is a character like another (which no reader here accepts).
// What is none of these is a BadWriting; whoever called knows which refusal that is.

export class BadWriting extends Error {}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const VALUES = new Map([...DIGITS].map((digit, value) => [digit.charCodeAt(0), value]));

export function hex(bytes) {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

export function fromHex(text) {
  if (typeof text !== "string" || !/^(?:[0-9a-f]{2})*$/.test(text)) {
    throw new BadWriting("not small hexadecimal digits");
  }
  const bytes = new Uint8Array(text.length / 2);
  for (let at = 0; at < bytes.length; at++) bytes[at] = parseInt(text.slice(2 * at, 2 * at + 2), 16);
  return bytes;
}

export function base64(bytes) {
  const parts = [];
  for (let at = 0; at < bytes.length; at += 3) {
    const left = bytes.length - at;
    const group = (bytes[at] << 16) | ((left > 1 ? bytes[at + 1] : 0) << 8) | (left > 2 ? bytes[at + 2] : 0);
    const third = left > 1 ? DIGITS[(group >> 6) & 63] : "=";
    const fourth = left > 2 ? DIGITS[group & 63] : "=";
    parts.push(DIGITS[group >> 18] + DIGITS[(group >> 12) & 63] + third + fourth);
  }
  return parts.join("");
}

export function fromBase64(text) {
  if (typeof text !== "string" || text.length % 4 !== 0) throw new BadWriting("base64 has groups of four digits");
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  const digits = text.length - padding;
  let held = 0;
  let bits = 0;
  let written = 0;
  for (let at = 0; at < digits; at++) {
    const value = VALUES.get(text.charCodeAt(at));
    if (value === undefined) throw new BadWriting("a character that is no digit of base64");
    held = ((held << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[written++] = (held >> bits) & 0xff;
    }
  }
  if (held & ((1 << bits) - 1)) throw new BadWriting("the last digit of base64 has bits that say nothing");
  return bytes;
}

// Half a surrogate pair has no UTF-8: TextEncoder would put another character in its place.
export function utf8(text) {
  if (/\p{Surrogate}/u.test(text)) throw new BadWriting("half a surrogate pair");
  return new TextEncoder().encode(text);
}

export function fromUtf8(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new BadWriting("not UTF-8");
  }
}

export function concat(...parts) {
  return joined(parts);
}

// For parts without number: arguments are bounded.
export function joined(parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function equal(one, other) {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

export async function sha256(bytes) {
  return new Uint8Array(await globalThis.crypto.subtle.digest("SHA-256", bytes));
}

export async function sha512(bytes) {
  return new Uint8Array(await globalThis.crypto.subtle.digest("SHA-512", bytes));
}

export async function hmac(key, message) {
  const imported = await globalThis.crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await globalThis.crypto.subtle.sign("HMAC", imported, message));
}
