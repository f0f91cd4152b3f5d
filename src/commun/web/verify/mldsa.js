// ML-DSA-44: verifying (FIPS 204, algorithms 3 and 8, empty context), with SHAKE (FIPS 202). No BigInt: a product of two
// numbers below q has 46 bits. Nothing here is secret.
//
// Refused (false): another length than 1312 and 2420 bytes, a hint that is not in its one form, a z beyond its bound, and
// whatever does not hash to the challenge. Every 1312 bytes are a public key.

import { concat, equal } from "./bytes.js";

export const PUBLIC_BYTES = 1312;
export const SIGNATURE_BYTES = 2420;
const Q = 8380417;
const N = 256;
const ROWS = [0, 1, 2, 3];
const COLUMNS = [0, 1, 2, 3];
const DROPPED_BITS = 13;
const TAU = 39; // coefficients of the challenge that are not 0
const GAMMA1 = 2 ** 17;
const GAMMA2 = (Q - 1) / 88;
const BETA = 78;
const OMEGA = 80; // hints at most
const CHALLENGE_BYTES = 32;

export function verify(key, message, signature) {
  if (key.length !== PUBLIC_BYTES || signature.length !== SIGNATURE_BYTES) return false;
  const challenge = signature.subarray(0, CHALLENGE_BYTES);
  const hints = readHints(signature.subarray(SIGNATURE_BYTES - OMEGA - ROWS.length));
  const z = COLUMNS.map((at) => unpacked(part(signature, CHALLENGE_BYTES, 576, at), 18).map((each) => GAMMA1 - each));
  if (hints === null || z.some((each) => each.some((one) => Math.abs(one) >= GAMMA1 - BETA))) return false;
  const rho = key.subarray(0, 32);
  const mu = shake256(64, shake256(64, key), Uint8Array.of(0, 0), message);
  const c = transformed(inBall(challenge));
  const zs = z.map((each) => transformed(each.map(modulo)));
  const rows = ROWS.map((row) => {
    const t = transformed(unpacked(part(key, 32, 320, row), 10).map((each) => each * 2 ** DROPPED_BITS));
    const sum = new Array(N).fill(0);
    COLUMNS.forEach((column) => {
      const a = uniform(rho, row, column);
      for (let at = 0; at < N; at++) sum[at] = (sum[at] + a[at] * zs[column][at]) % Q;
    });
    const w = restored(sum.map((each, at) => modulo(each - ((c[at] * t[at]) % Q))));
    return packed(w.map((each, at) => highBits(each, hints[row][at])));
  });
  return equal(challenge, shake256(CHALLENGE_BYTES, mu, ...rows));
}

// The part of this number of those of `length` bytes that begin at `first`.
function part(bytes, first, length, number) {
  return bytes.subarray(first + length * number, first + length * (number + 1));
}

// Algorithm 21. null: another writing than the one that signing makes.
function readHints(bytes) {
  const hints = ROWS.map(() => new Uint8Array(N));
  let at = 0;
  for (const row of ROWS) {
    const end = bytes[OMEGA + row];
    if (end < at || end > OMEGA) return null;
    for (const first = at; at < end; at++) {
      if (at > first && bytes[at - 1] >= bytes[at]) return null;
      hints[row][bytes[at]] = 1;
    }
  }
  return bytes.subarray(at, OMEGA).some((each) => each !== 0) ? null : hints;
}

// Numbers of `bits` bits each, the lowest bit first.
function unpacked(bytes, bits) {
  const values = [];
  let held = 0;
  let count = 0;
  for (const byte of bytes) {
    held += byte * 2 ** count;
    count += 8;
    while (count >= bits) {
      values.push(held % 2 ** bits);
      held = Math.floor(held / 2 ** bits);
      count -= bits;
    }
  }
  return values;
}

// w1: six bits each.
function packed(values) {
  const bytes = new Uint8Array((N * 6) / 8);
  for (let at = 0; at < N; at += 4) {
    const group = values[at] | (values[at + 1] << 6) | (values[at + 2] << 12) | (values[at + 3] << 18);
    bytes.set([group, group >> 8, group >> 16], (at / 4) * 3);
  }
  return bytes;
}

// Algorithms 36 and 40: the high bits of a number below q, one more or one less where the hint says so.
function highBits(value, hint) {
  let low = value % (2 * GAMMA2);
  if (low > GAMMA2) low -= 2 * GAMMA2;
  let high = (value - low) / (2 * GAMMA2);
  if (value - low === Q - 1) {
    high = 0;
    low -= 1;
  }
  if (!hint) return high;
  return (high + (low > 0 ? 1 : 43)) % 44;
}

// Algorithm 29.
function inBall(seed) {
  const next = shake(136, 0x1f, seed);
  const signs = Array.from({ length: 8 }, next);
  const c = new Array(N).fill(0);
  for (let at = N - TAU; at < N; at++) {
    let place = next();
    while (place > at) place = next();
    c[at] = c[place];
    const bit = at + TAU - N;
    c[place] = (signs[bit >> 3] >> (bit & 7)) & 1 ? Q - 1 : 1;
  }
  return c;
}

// Algorithm 30, with 14 and 32: a polynomial of the matrix, already transformed.
function uniform(rho, row, column) {
  const next = shake(168, 0x1f, concat(rho, Uint8Array.of(column, row)));
  const values = [];
  while (values.length < N) {
    const value = next() | (next() << 8) | ((next() & 127) << 16);
    if (value < Q) values.push(value);
  }
  return values;
}

function modulo(value) {
  const rest = value % Q;
  return rest < 0 ? rest + Q : rest;
}

// Powers of 1753, a root of unity of order 512, by their index with its eight bits reversed.
const ZETAS = (() => {
  const powers = [1];
  for (let at = 1; at < N; at++) powers.push((powers[at - 1] * 1753) % Q);
  const reversed = (index) => parseInt(index.toString(2).padStart(8, "0").split("").reverse().join(""), 2);
  return powers.map((_, index) => powers[reversed(index)]);
})();

// Algorithm 41.
function transformed(values) {
  const w = [...values];
  let zeta = 0;
  for (let length = 128; length >= 1; length /= 2) {
    for (let start = 0; start < N; start += 2 * length) {
      const z = ZETAS[++zeta];
      for (let at = start; at < start + length; at++) {
        const t = (z * w[at + length]) % Q;
        w[at + length] = modulo(w[at] - t);
        w[at] = (w[at] + t) % Q;
      }
    }
  }
  return w;
}

// Algorithm 42.
function restored(values) {
  const w = [...values];
  let zeta = N;
  for (let length = 1; length < N; length *= 2) {
    for (let start = 0; start < N; start += 2 * length) {
      const z = Q - ZETAS[--zeta];
      for (let at = start; at < start + length; at++) {
        const t = w[at];
        w[at] = (t + w[at + length]) % Q;
        w[at + length] = (z * modulo(t - w[at + length])) % Q;
      }
    }
  }
  return w.map((each) => (each * 8347681) % Q); // 256^-1
}

function shake256(length, ...parts) {
  return Uint8Array.from({ length }, shake(136, 0x1f, concat(...parts)));
}

// Gives a function that gives one byte after another. `rate` in bytes: 168 is SHAKE128, 136 SHAKE256.
function shake(rate, suffix, message) {
  const padded = new Uint8Array((Math.floor(message.length / rate) + 1) * rate);
  padded.set(message);
  padded[message.length] = suffix;
  padded[padded.length - 1] |= 0x80;
  const state = new Uint32Array(50); // 25 lanes: low half, high half
  for (let block = 0; block < padded.length; block += rate) {
    for (let at = 0; at < rate; at++) state[at >> 2] ^= padded[block + at] << (8 * (at & 3));
    permute(state);
  }
  let taken = 0;
  return () => {
    if (taken === rate) {
      permute(state);
      taken = 0;
    }
    const byte = (state[taken >> 2] >>> (8 * (taken & 3))) & 0xff;
    taken++;
    return byte;
  };
}

// FIPS 202, section 3.2.5: the round constants out of their shift register, and of 3.2.2 and 3.2.3 the offsets and places.
const CONSTANTS = (() => {
  let register = 1;
  return Array.from({ length: 24 }, () => {
    const lane = [0, 0];
    for (let j = 0; j <= 6; j++) {
      const bit = 2 ** j - 1;
      if (register & 1) lane[bit >> 5] |= 1 << (bit & 31);
      register = register & 0x80 ? ((register << 1) ^ 0x171) : register << 1;
    }
    return lane;
  });
})();
const MOVES = (() => {
  const moves = [];
  let [x, y] = [1, 0];
  for (let t = 0; t < 24; t++) {
    const from = x + 5 * y;
    [x, y] = [y, (2 * x + 3 * y) % 5];
    moves.push([from, x + 5 * y, (((t + 1) * (t + 2)) / 2) % 64]);
  }
  return moves;
})();

function permute(state) {
  const parity = new Uint32Array(10);
  const moved = new Uint32Array(50);
  for (const [low, high] of CONSTANTS) {
    parity.fill(0);
    for (let at = 0; at < 50; at++) parity[at % 10] ^= state[at];
    for (let x = 0; x < 5; x++) {
      const [left, right] = [2 * ((x + 4) % 5), 2 * ((x + 1) % 5)];
      const a = parity[left] ^ ((parity[right] << 1) | (parity[right + 1] >>> 31));
      const b = parity[left + 1] ^ ((parity[right + 1] << 1) | (parity[right] >>> 31));
      for (let at = 2 * x; at < 50; at += 10) {
        state[at] ^= a;
        state[at + 1] ^= b;
      }
    }
    moved[0] = state[0];
    moved[1] = state[1];
    for (const [from, to, by] of MOVES) {
      const swapped = by >= 32 ? 1 : 0;
      const [a, b, n] = [state[2 * from + swapped], state[2 * from + 1 - swapped], by & 31];
      moved[2 * to] = n ? (a << n) | (b >>> (32 - n)) : a;
      moved[2 * to + 1] = n ? (b << n) | (a >>> (32 - n)) : b;
    }
    for (let row = 0; row < 50; row += 10) {
      for (let at = 0; at < 10; at++) state[row + at] = moved[row + at] ^ (~moved[row + ((at + 2) % 10)] & moved[row + ((at + 4) % 10)]);
    }
    state[0] ^= low;
    state[1] ^= high;
  }
}
