// Jobs on standard input, one JSON object a line; their results on standard output, one a line, in the same order.
//
// {"job": "toml", "text"}                  -> {"value"} or {"fault"}
// {"job": "charter", "files"}              -> {"digests"} or {"reason"}; files by name, base64
// {"job": "adopted", "files", "predicate"} -> {"adopted"} or {"reason"}; files by name, base64
// {"job": "allowed", "files", "predicate", "stop", "schema", "messages"}: steps 5 and 6; files by name, text
// {"job": "key", "text"}                   -> {"id"} or {"reason"}
// {"job": "signed", "text", "message", "signature"}: hexadecimal; -> {"holds"}
// {"job": "hidden", "text"}                -> {"holds"}
// What is thrown otherwise is {"crash"}: a mistake of the verifier's.

import { createInterface } from "node:readline";
import { fromBase64, fromHex, utf8 } from "../../../src/commun/web/verify/bytes.js";
import { checkAdopted } from "../../../src/commun/web/verify/charter/adopted.js";
import { checkAllowed, checkHasMessages, checkPrompt } from "../../../src/commun/web/verify/charter/allowed.js";
import { charterKeyFromText, hasCharterSigned } from "../../../src/commun/web/verify/charter/keys.js";
import { CHARTER_CLAUSES } from "../../../src/commun/web/verify/charter/schema.js";
import { charterClauseDigest, charterSystemPrompt, readCharterClauses } from "../../../src/commun/web/verify/charter/source.js";
import { TomlDecimal, TomlFault, TomlTime, readToml } from "../../../src/commun/web/verify/charter/toml.js";
import { hasHidden } from "../../../src/commun/web/verify/charter/values.js";
import { Refusal } from "../../../src/commun/web/verify/refusal.js";

function plain(value) {
  if (value instanceof Map) return { table: [...value].map(([name, each]) => [name, plain(each)]) };
  if (Array.isArray(value)) return { list: value.map(plain) };
  if (typeof value === "bigint") return { whole: String(value) };
  if (value instanceof TomlDecimal) return { decimal: value.text };
  if (value instanceof TomlTime) return { [value.kind]: value.text };
  return value;
}

function filesOf(files, decode) {
  return new Map(Object.entries(files).map(([name, text]) => [name, decode(text)]));
}

const JOBS = {
  toml: async ({ text }) => ({ value: plain(readToml(text)) }),
  charter: async ({ files }) => {
    const charter = await readCharterClauses(filesOf(files, fromBase64));
    const digests = {};
    for (const name of CHARTER_CLAUSES) digests[name] = await charterClauseDigest(charter, name);
    const prompts = ["", ...charter.personas.map((each) => each.id)].map((id) => charterSystemPrompt(charter, "fr", id));
    return { digests, prompts, policy: charter.witnesses.policy };
  },
  adopted: async ({ files, predicate }) => {
    const { charter, ...rest } = await checkAdopted(filesOf(files, fromBase64), predicate);
    return { adopted: { ...rest, name: charter.name } };
  },
  allowed: async ({ files, predicate, stop, schema, messages }) => {
    const { charter } = await checkAdopted(filesOf(files, utf8), predicate);
    const model = checkAllowed(charter, predicate, { stop, schema });
    if (predicate.commitments.prompt_messages === null) checkHasMessages(predicate);
    if (messages !== null) checkPrompt(charter, predicate, messages);
    return { model: model.name };
  },
  key: async ({ text }) => ({ id: (await charterKeyFromText(text)).id }),
  signed: async ({ text, message, signature }) => ({
    holds: await hasCharterSigned(await charterKeyFromText(text), fromHex(message), fromHex(signature)),
  }),
  hidden: async ({ text }) => ({ holds: hasHidden(text) }),
};

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  let result;
  try {
    const job = JSON.parse(line);
    result = await JOBS[job.job](job);
  } catch (error) {
    if (error instanceof Refusal) result = { reason: error.reason, detail: error.detail };
    else if (error instanceof TomlFault) result = { fault: error.message };
    else result = { crash: error.stack };
  }
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
