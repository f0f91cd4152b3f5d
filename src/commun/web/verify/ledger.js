// Step 7: the receipt is in the ledger, under a head that its log has signed and enough witnesses have confirmed, and
// before it the edition's adoption; with them what a derived seed's secret left there (docs/spec/receipt.md, "Verifying").

import { equal, fromHex, hex, sha256, utf8 } from "./bytes.js";
import { PENDING } from "./bundle.js";
import { rfc8785 } from "./canonical.js";
import { checkSigned } from "./cosignature.js";
import { readKey } from "./keys.js";
import { isIncluded, leafHash } from "./merkle.js";
import { BadForm, isSameCheckpoint } from "./note.js";
import { hasConfirmed, isFulfilled } from "./policy.js";
import { readProof } from "./proof.js";
import { Refusal } from "./refusal.js";
import { NotStrict, hasFields, readObject } from "./strict-json.js";
import { isTime, seconds } from "./times.js";

const MOST_SKEW_S = 300;

// `policy`: policy.js's. Gives null where there is no proof at all, else { index, editionIndex, openedIndex, secretIndex (each
// null: no proof), secret: bytes or null, size, witnesses: names of those who confirmed it at a time, isNamed: whether the
// policy names the log }.
export async function checkLogged(envelope, predicate, { ledger: { key, receipt, edition }, seed }, policy) {
  const { opened = null, secret = null } = seed ?? {};
  const own = receipt === null || receipt === PENDING ? null : read(receipt, predicate);
  const [adoption, opening, publication] = [edition, opened, secret].map((each) => each && read(each.proof, predicate));
  const first = own ?? adoption ?? opening ?? publication;
  if (first === null) return null;
  const isNamed = policy.logs.length > 0;
  const logs = isNamed ? policy.logs : [await hinted(key)];
  let signed = null;
  if (own !== null) {
    signed = await check(own, entryOf(hex(await sha256(envelope))), policy, logs, "not-in-ledger");
    checkTimes(signed, predicate.ended);
  }
  const beside = async (proof, entry, absent, isBefore = true) => {
    const also = await check(proof, entry, policy, logs, absent);
    checkHead(first, proof);
    if (isBefore && own !== null && proof.index >= own.index) throw new Refusal(absent, "it was logged after the receipt");
    signed ??= also;
  };
  if (adoption !== null) {
    checkEntry(edition.entry, predicate.charter);
    await beside(adoption, edition.entry, "edition-not-in-ledger");
  }
  if (opening !== null) {
    checkOpened(opened.entry, predicate.seed);
    await beside(opening, opened.entry, "epoch-not-in-ledger");
  }
  let told = null;
  if (publication !== null) {
    told = await publishedIn(secret.entry, predicate.seed);
    await beside(publication, secret.entry, "secret-not-in-ledger", false);
  }
  return {
    index: own && own.index,
    editionIndex: adoption && adoption.index,
    openedIndex: opening && opening.index,
    secretIndex: publication && publication.index,
    secret: told,
    size: first.checkpoint.size,
    witnesses: [...policy.witnesses.values()].filter((witness) => hasConfirmed(witness, signed)).map(({ name }) => name),
    isNamed,
  };
}

function read(text, predicate) {
  let proof;
  try {
    proof = readProof(text);
  } catch (error) {
    if (error instanceof BadForm) throw new Refusal("proof-form", `the proof of logging: ${error.message}`);
    throw error;
  }
  if (proof.checkpoint.origin !== predicate.ledger) {
    throw new Refusal("other-ledger", "the proof is of another ledger than the receipt names");
  }
  return proof;
}

async function hinted(text) {
  try {
    return await readKey(text);
  } catch (error) {
    if (error instanceof BadForm) throw new Refusal("checkpoint-unsigned", "no key of the ledger is known");
    throw error;
  }
}

function entryOf(digest) {
  return utf8(`{"sha256":"${digest}","type":"commun/receipt/1"}`);
}

async function check(proof, entry, policy, logs, absent) {
  const signed = await checkSigned(proof, logs, [...policy.witnesses.values()]);
  if (!isFulfilled(policy, signed)) throw new Refusal("too-few-witnesses", "the witnesses that the policy asks for have not all signed");
  const { index, hashes, checkpoint } = proof;
  if (!(await isIncluded(await leafHash(entry), index, checkpoint.size, hashes, checkpoint.root))) {
    throw new Refusal(absent, "the proof does not lead from the entry to the ledger's head");
  }
  return signed;
}

function checkTimes(signed, ended) {
  if (signed.some(({ time }) => time !== 0n && BigInt(seconds(ended)) - time > BigInt(MOST_SKEW_S))) {
    throw new Refusal("ledger-time", "a witness confirmed the ledger's head before the answer ended");
  }
}

function checkEntry(bytes, { edition, digest }) {
  const entry = adoptionOf(bytes);
  if (entry === null || entry.number !== edition || entry.digest !== digest) {
    throw new Refusal("edition-not-in-ledger", "the entry is not this edition's adoption");
  }
}

function adoptionOf(bytes) {
  const entry = objectOf(bytes);
  const holds =
    hasFields(entry, ["type", "number", "digest", "event", "time"]) &&
    entry.type === "commun/edition/1" &&
    Number.isSafeInteger(entry.number) &&
    typeof entry.digest === "string" &&
    entry.event === "adopted" &&
    isTime(entry.time) &&
    equal(rfc8785(entry), bytes);
  return holds ? entry : null;
}

// An entry has one writing, so it is compared as bytes.
function checkOpened(bytes, { epoch }) {
  if (epoch === undefined || !equal(bytes, utf8(`{"sha256":"${epoch}","type":"commun/epoch/1"}`))) {
    throw new Refusal("epoch-not-in-ledger", "the entry is not the one of the seed's secret");
  }
}

async function publishedIn(bytes, { epoch }) {
  const entry = objectOf(bytes);
  const holds =
    epoch !== undefined &&
    hasFields(entry, ["type", "epoch", "secret"]) &&
    typeof entry.secret === "string" &&
    /^[0-9a-f]{64}$/.test(entry.secret) &&
    equal(bytes, utf8(`{"epoch":"${epoch}","secret":"${entry.secret}","type":"commun/epoch-secret/1"}`)) &&
    hex(await sha256(fromHex(entry.secret))) === epoch;
  if (!holds) throw new Refusal("secret-not-in-ledger", "the entry does not publish the seed's secret");
  return fromHex(entry.secret);
}

function objectOf(bytes) {
  try {
    return readObject(bytes);
  } catch (error) {
    if (error instanceof NotStrict) return null;
    throw error;
  }
}

// Every proof is by one head.
function checkHead(first, proof) {
  if (isSameCheckpoint(first.checkpoint, proof.checkpoint)) return;
  const isFork = first.checkpoint.size === proof.checkpoint.size && !equal(first.checkpoint.root, proof.checkpoint.root);
  if (isFork) throw new Refusal("fork", "two roots for one size, both signed: keep this file as evidence");
  throw new Refusal("proof-form", "the proofs are by different heads");
}
