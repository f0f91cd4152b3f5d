// Step 7: the receipt is in the ledger, under a head that its log has signed and enough witnesses have confirmed, and
// before it the edition's adoption (docs/spec/receipt.md, "Verifying").

import { equal, hex, sha256, utf8 } from "./bytes.js";
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

// `policy`: policy.js's. Gives null where there is no proof at all, else { index, editionIndex (each null: no proof), size,
// witnesses: names of those who confirmed it at a time, isNamed: whether the policy names the log }.
export async function checkLogged(envelope, predicate, { key, receipt, edition }, policy) {
  const own = receipt === null || receipt === PENDING ? null : read(receipt, predicate);
  const adoption = edition === null ? null : read(edition.proof, predicate);
  if (own === null && adoption === null) return null;
  const isNamed = policy.logs.length > 0;
  const logs = isNamed ? policy.logs : [await hinted(key)];
  let signed = null;
  if (own !== null) {
    signed = await check(own, entryOf(hex(await sha256(envelope))), policy, logs, "not-in-ledger");
    checkTimes(signed, predicate.ended);
  }
  if (adoption !== null) {
    checkEntry(edition.entry, predicate.charter);
    const also = await check(adoption, edition.entry, policy, logs, "edition-not-in-ledger");
    if (own !== null) checkOrder(own, adoption);
    signed ??= also;
  }
  return {
    index: own && own.index,
    editionIndex: adoption && adoption.index,
    size: (own ?? adoption).checkpoint.size,
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
  let entry;
  try {
    entry = readObject(bytes);
  } catch (error) {
    if (error instanceof NotStrict) return null;
    throw error;
  }
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

function checkOrder(own, adoption) {
  if (!isSameCheckpoint(own.checkpoint, adoption.checkpoint)) {
    const isFork = own.checkpoint.size === adoption.checkpoint.size && !equal(own.checkpoint.root, adoption.checkpoint.root);
    if (isFork) throw new Refusal("fork", "two roots for one size, both signed: keep this file as evidence");
    throw new Refusal("proof-form", "the two proofs are by different heads");
  }
  if (adoption.index >= own.index) throw new Refusal("edition-not-in-ledger", "the edition was logged after the receipt");
}
