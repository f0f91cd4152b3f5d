// What this page drew for its questions. A seed follows from it, so that nobody else can choose the seed; the receipt has
// to name it. Remembered for as long as the page is open, by the answer's id.

const BYTES = 32;
const drawn = new Map();

/** Draws the nonce of one question into the form that asks it. */
export function drawInto(body) {
  const bytes = crypto.getRandomValues(new Uint8Array(BYTES));
  const nonce = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  body.set("nonce", nonce);
  return nonce;
}

export const remember = (answerId, nonce) => { drawn.set(answerId, nonce); };

/** "same" or "other", as the receipt names it; "" where this page drew none, or none was used. */
export function compared(answerId, named) {
  const mine = drawn.get(answerId);
  if (mine === undefined || typeof named !== "string") return "";
  return mine === named ? "same" : "other";
}
