// The verifier's parts, one job a line: { part, … }, bytes in hexadecimal; one answer a line. node parts.mjs FOLDER, which
// has each part as a module of its name.

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const part = (name) => import(pathToFileURL(`${process.argv[2]}/${name}.mjs`));
const [bytes, strictJson, canonical, ed25519, mldsa] = await Promise.all(["bytes", "strict-json", "canonical", "ed25519", "mldsa"].map(part));
const { fromHex, hex } = bytes;

const BACK = { base64: bytes.fromBase64, hex: bytes.fromHex };
const PARTS = {
  ed25519: async ({ key, message, signature }) => {
    const given = [key, message, signature].map(fromHex);
    const [one, other] = [await ed25519.verify(...given), await ed25519.verifyHere(...given)];
    return one === other ? one : "the browser's and our own differ";
  },
  mldsa: ({ key, message, signature }) => mldsa.verify(...[key, message, signature].map(fromHex)),
  json: ({ data }) => shown(strictJson.read(fromHex(data))),
  rfc8785: ({ data }) => hex(canonical.rfc8785(strictJson.read(fromHex(data)))),
  tuf: ({ data }) => hex(canonical.tufCanonical(strictJson.read(fromHex(data)))),
  decode: ({ form, text }) => hex(BACK[form](text)),
  encode: ({ data }) => bytes.base64(fromHex(data)),
};
const REFUSALS = [bytes.BadWriting, strictJson.NotStrict, canonical.NotCanonical, ed25519.BadKey];

// Kinds as well as values: { name: value }, in pairs.
function shown(value) {
  if (typeof value === "bigint") return { integer: String(value) };
  if (typeof value === "number") return { integer: String(value) };
  if (Array.isArray(value)) return value.map(shown);
  if (value === null || typeof value !== "object") return value;
  return { pairs: Object.entries(value).map(([name, item]) => [name, shown(item)]) };
}

for await (const line of createInterface({ input: process.stdin })) {
  const job = JSON.parse(line);
  let said;
  try {
    said = { said: await PARTS[job.part](job) };
  } catch (error) {
    said = REFUSALS.some((kind) => error instanceof kind) ? { refused: error.constructor.name } : { crash: String(error.stack ?? error) };
  }
  console.log(JSON.stringify(said));
}
