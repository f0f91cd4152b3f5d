// Verifying a bundle, in the numbered steps of docs/spec/receipt.md. Bytes in, a report out; no clock, no network, no
// file. The first step that refuses ends it.
//
// The report: { verdict: "verified", "partial" or "refused"; reason, step, detail where it is refused; steps: [{ step, name,
// outcome: "holds", "missing", "refused" or "not reached"; proves, missing }]; notProven; predicate and disclosed where
// they were read; added: what of the system message is not the charter's, "" for nothing }. Sentences are { text, details }: a message id, and what goes into its places.

import { utf8 } from "./bytes.js";
import { PENDING, readBundle } from "./bundle.js";
import { checkAdopted } from "./charter/adopted.js";
import { addedByCaller, checkAllowed, checkHasMessages, checkPrompt } from "./charter/allowed.js";
import { FIELDS, checkDisclosed } from "./commitments.js";
import { checkSignature, readEnvelope } from "./envelope.js";
import { checkLogged } from "./ledger.js";
import { NO_POLICY, readPolicy } from "./policy.js";
import { Refusal } from "./refusal.js";
import { checkDerivation, checkShownSeed } from "./seed.js";
import { readStatement } from "./statement.js";

const say = (text, details = {}) => ({ text, details });

const STEPS = [
  { name: say("The file"), run: theFile },
  { name: say("Signature"), run: theSignature },
  { name: say("Statement"), run: theStatement },
  { name: say("What was disclosed"), run: whatWasDisclosed },
  { name: say("Charter"), run: theCharter },
  { name: say("Model and settings"), run: modelAndSettings },
  { name: say("Ledger"), run: theLedger },
];

const NOT_PROVEN = [
  say("That what the answer says is true."),
  say("That this model really wrote it: an audit computes that again; a receipt only binds the server to its word."),
  say("That the token ids are these texts: an audit reads them with the model's own vocabulary."),
  say("That nobody else has read it."),
  say("That the edition was still in force at that moment, and not frozen: the ledger's later entries tell."),
  say("That nobody chose the seed, unless it says above that the published secret gives it."),
  say("When exactly: the times are the server's own, and a witness's only an upper bound."),
  say("That there is no second receipt for the same answer."),
];

// `trust`, what the reader has by another way than the bundle: charter (digest of the first root, "" for none), keys (texts
// of receipt keys, none for any), policy (bytes of a tlog-policy, null for the charter's).
export async function verify(data, { charter = "", keys = [], policy = null } = {}) {
  const run = { data, trust: { charter, keys, policy }, proves: [], missing: [] };
  const steps = [];
  for (const { name, run: perform } of STEPS) {
    run.proves = [];
    run.missing = [];
    try {
      await perform(run);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return refused(run, steps, error);
    }
    const { proves, missing } = run;
    steps.push({ step: steps.length + 1, name, outcome: missing.length > 0 ? "missing" : "holds", proves, missing });
  }
  const verdict = steps.some(({ missing }) => missing.length > 0) ? "partial" : "verified";
  return report(run, { verdict, reason: null, step: null, detail: "", steps });
}

function refused(run, done, { reason, detail }) {
  const step = done.length + 1;
  const rest = STEPS.slice(done.length).map(({ name }, at) => {
    return { step: step + at, name, outcome: at === 0 ? "refused" : "not reached", proves: [], missing: [] };
  });
  return report(run, { verdict: "refused", reason, step, detail, steps: [...done, ...rest] });
}

function report({ predicate = null, disclosed = null, added = "" }, found) {
  return { ...found, notProven: NOT_PROVEN, predicate, disclosed, added };
}

function theFile(run) {
  run.bundle = readBundle(run.data);
  run.envelope = readEnvelope(run.bundle.envelope);
  run.proves.push(say("It is a bundle, written in the one way that can be read in one way only."));
}

async function theSignature({ bundle, envelope, trust, proves }) {
  await checkSignature(envelope, bundle.key, trust.keys);
  proves.push(say("The holder of the key %(key)s has signed this statement.", { key: bundle.key }));
}

async function theStatement(run) {
  const { state, began, ended } = (run.predicate = await readStatement(run.envelope.payload));
  const details = { state, began, ended };
  run.proves.push(say("It is the receipt of one answer (%(state)s), from %(began)s to %(ended)s by the server's clock.", details));
}

async function whatWasDisclosed(run) {
  for (const field of Object.keys(FIELDS)) {
    const disclosed = run.bundle.disclosed.get(field);
    if (disclosed !== undefined) {
      await checkDisclosed(field, disclosed, run.predicate);
      run.proves.push(say("%(field)s: this is what was committed to.", { field }));
    } else if (run.predicate.commitments[field] !== null) {
      run.missing.push(say("%(field)s: withheld; whoever has it can still show it.", { field }));
    }
  }
  await checkShownSeed(run.bundle.seed, run.predicate, run);
  run.disclosed = run.bundle.disclosed;
}

async function theCharter(run) {
  const { edition, first_root: digest, stale } = run.predicate.charter;
  if (run.trust.charter === "") {
    run.missing.push(say("Whose charter that is: compare %(digest)s with the one that is published.", { digest }));
  } else if (run.trust.charter !== digest) {
    throw new Refusal("charter-unknown", "the receipt names another charter than the reader's");
  }
  if (run.bundle.charter === null) {
    run.missing.push(say("The charter's files are not in the bundle."));
    return;
  }
  const adopted = (run.adopted = await checkAdopted(run.bundle.charter, run.predicate));
  const details = { edition, name: adopted.charter.name, signed: adopted.signed, quorum: adopted.quorum };
  run.proves.push(say("Edition %(edition)s of “%(name)s” was adopted by %(signed)s of its board, quorum %(quorum)s.", details));
  if (stale) run.proves.push(say("The board's mandate had ended, and the receipt says so."));
}

function modelAndSettings(run) {
  const { adopted, bundle, predicate, proves, missing } = run;
  if (adopted === undefined) {
    missing.push(say("What the charter allows: its files are not in the bundle."));
    return;
  }
  const { stop, schema } = predicate.commitments;
  const model = checkAllowed(adopted.charter, predicate, { stop: stop !== null, schema: schema !== null });
  proves.push(say("The receipt names the model “%(model)s” and settings that the charter allows.", { model: model.name }));
  if (predicate.commitments.prompt_messages === null) checkHasMessages(predicate);
  const messages = bundle.disclosed.get("prompt_messages");
  if (messages !== undefined) {
    checkPrompt(adopted.charter, predicate, messages.value);
    proves.push(say("What the model was told first is the system prompt that was adopted."));
    run.added = addedByCaller(adopted.charter, predicate, messages.value);
    if (run.added !== "") proves.push(say("After it stands what whoever asked has added, as the charter allows."));
  }
  if (predicate.model.digest === "") proves.push(say("The model runs on another server: nobody can check its files."));
}

async function theLedger({ bundle, envelope, predicate, adopted, trust, proves, missing }) {
  const found = await checkLogged(envelope.bytes, predicate, bundle, await policyOf(trust, adopted));
  const isKnown = found !== null && found.isNamed && (trust.policy !== null || trust.charter !== "");
  const isLogged = found !== null && found.index !== null;
  if (isLogged) {
    const details = { index: found.index, size: found.size, witnesses: found.witnesses.join(", ") || "—" };
    proves.push(say("The receipt is entry %(index)s of the ledger's %(size)s; witnesses: %(witnesses)s.", details));
  } else if (bundle.ledger.receipt === PENDING) missing.push(say("The ledger's proof is pending: fetch the bundle again in a moment."));
  else missing.push(say("The bundle has no proof that the receipt is in a ledger."));
  if (found !== null && found.editionIndex !== null) {
    proves.push(say("The edition's adoption is entry %(index)s of the same ledger.", { index: found.editionIndex }));
  } else missing.push(say("The bundle has no proof that the edition is in the ledger."));
  await checkDerivation(bundle.seed, predicate, found, { proves, missing });
  if (found !== null && !isKnown) missing.push(say("Whose ledger that is: neither you nor a charter that you know names its key."));
  if (trust.keys.length === 0 && !(isLogged && isKnown)) missing.push(say("Whose key that is: compare it with the one that is published."));
  if (found !== null && found.witnesses.length === 0) {
    proves.push(say("No witness was asked for: the ledger's own keeper alone stands for its head."));
  }
}

// The reader's own, else the charter's (whose texts have no space around them), else none.
async function policyOf(trust, adopted) {
  if (trust.policy !== null) return readPolicy(trust.policy);
  const text = adopted === undefined ? "" : adopted.charter.witnesses.policy;
  return text === "" ? NO_POLICY : readPolicy(utf8(`${text}\n`));
}
