// The bundle: one JSON file with the receipt and all that is needed to verify it (docs/spec/receipt.md, "Bundle").

import { utf8 } from "./bytes.js";
import { FIELDS, SALT_BYTES } from "./commitments.js";
import { decoded } from "./envelope.js";
import { Refusal } from "./refusal.js";
import { NotStrict, hasFields, isObject, readObject } from "./strict-json.js";

export const PENDING = "pending";
export const MOST_BUNDLE_BYTES = 16 * 2 ** 20;
const FORMAT = "commun-bundle/1";
const FORMAT_WITH_SEED = "commun-bundle/2";
const SEED_SALT_BYTES = 32;
const MOST_FILES = 2048;
const MOST_NAME = 200;
const MOST_ENTRY_BYTES = 65535;
// What may lie in a published charter, but for the newest edition's timestamp.
const NAMES = [
  /^metadata\/[1-9][0-9]{0,8}\.(?:root|targets|snapshot|timestamp|assents)\.json$/,
  /^targets\/(?:[a-z]+\/)?[0-9a-f]{64}\.[A-Za-z0-9][A-Za-z0-9._-]*$/,
  /^freezes\/[1-9][0-9]{0,8}\.(?:freeze|unfreeze)\.json$/,
  /^amendments\/[0-9a-f]{12}\.amendment$/,
];

// Gives { envelope: text, key: text, disclosed: Map of name to { salt, value }, charter: Map of name to bytes or null,
// ledger: { key, receipt, edition: { entry: bytes, proof: text } or null }, seed: { salt: bytes, opened, secret: as edition }
// or null }.
export function readBundle(bytes) {
  if (bytes.length > MOST_BUNDLE_BYTES) throw new Refusal("too-large", "the file is longer than a bundle may be");
  let value;
  try {
    value = readObject(bytes);
  } catch (error) {
    if (error instanceof NotStrict) throw new Refusal("not-strict-json", error.message);
    throw error;
  }
  const withSeed = value.format === FORMAT_WITH_SEED;
  must(withSeed || value.format === FORMAT, "the format");
  const names = ["format", "envelope", "key", "disclosed", "charter", "ledger"];
  must(hasFields(value, withSeed ? [...names, "seed"] : names), "the bundle");
  must(typeof value.envelope === "string" && typeof value.key === "string", "the envelope or its key");
  return {
    envelope: value.envelope,
    key: value.key,
    disclosed: readDisclosed(value.disclosed),
    charter: readCharter(value.charter),
    ledger: readLedger(value.ledger),
    seed: withSeed ? readSeed(value.seed) : null,
  };
}

function must(holds, what) {
  if (!holds) throw new Refusal("bundle-fields", `${what} is not as a bundle has it`);
}

function readDisclosed(value) {
  must(hasFields(value, Object.keys(FIELDS)), "what is disclosed");
  const disclosed = new Map();
  for (const [name, { holds }] of Object.entries(FIELDS)) {
    const each = value[name];
    if (each === null) continue;
    must(hasFields(each, ["salt", "value"]) && typeof each.salt === "string", name);
    const salt = decoded(each.salt, `the salt of ${name}`);
    must(salt.length === SALT_BYTES, `the salt of ${name}`);
    must(holds(each.value), name);
    disclosed.set(name, { salt, value: each.value });
  }
  return disclosed;
}

function readCharter(value) {
  if (value === null) return null;
  must(isObject(value), "the charter");
  const names = Object.keys(value);
  must(names.length <= MOST_FILES, "the number of the charter's files");
  for (const name of names) {
    must(name.length <= MOST_NAME && NAMES.some((form) => form.test(name)), "the name of a file of the charter");
    must(typeof value[name] === "string", "a file of the charter");
  }
  return new Map(names.map((name) => [name, utf8(value[name])]));
}

function readLedger(value) {
  must(hasFields(value, ["key", "receipt", "edition"]), "the ledger's part");
  must(typeof value.key === "string", "the ledger's key");
  must(value.receipt === null || typeof value.receipt === "string", "the receipt's proof");
  return { key: value.key, receipt: value.receipt, edition: readEntry(value.edition, "the edition") };
}

function readSeed(value) {
  must(hasFields(value, ["salt", "opened", "secret"]) && typeof value.salt === "string", "the seed's part");
  const salt = decoded(value.salt, "the seed's salt");
  must(salt.length === SEED_SALT_BYTES, "the seed's salt");
  return { salt, opened: readEntry(value.opened, "the secret's digest"), secret: readEntry(value.secret, "the secret") };
}

function readEntry(value, what) {
  if (value === null) return null;
  must(hasFields(value, ["entry", "proof"]), `the entry of ${what}`);
  must(typeof value.entry === "string" && typeof value.proof === "string", `the entry of ${what} or its proof`);
  const entry = decoded(value.entry, `the entry of ${what}`);
  must(entry.length <= MOST_ENTRY_BYTES, `the length of the entry of ${what}`);
  return { entry, proof: value.proof };
}
