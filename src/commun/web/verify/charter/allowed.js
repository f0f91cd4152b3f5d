// Step 6 of docs/spec/receipt.md: model and settings are what the edition allows, and so is what the model was told first.
//
// Refuses, in this order: model-not-adopted, engine-not-adopted, software-not-allowed, outside-charter; prompt-not-adopted.

import { Refusal } from "../refusal.js";
import { isDecimalWithin } from "./decimal.js";
import { charterSystemPrompt } from "./source.js";

// `charter`: as checkAdopted gives it. `stop`, `schema`: whether the receipt commits to any. The model that was adopted.
export function checkAllowed(charter, predicate, { stop, schema }) {
  const model = charter.models.adopted.find((each) => each.id === predicate.model.id);
  if (model === undefined || model.digest !== predicate.model.digest) {
    throw new Refusal("model-not-adopted", "the charter adopts no such model, or other files of it");
  }
  const profile = model.format === "remote" ? "remote" : charter.sampling.profile;
  if (predicate.engine.profile !== profile) {
    throw new Refusal("engine-not-adopted", "the engine's profile is not the charter's");
  }
  const { least, below } = charter.software;
  if (compareReleases(predicate.software, least) < 0 || compareReleases(predicate.software, below) >= 0) {
    throw new Refusal("software-not-allowed", "the charter does not allow this version of Commun");
  }
  const outside = [...clausesHeld(charter, predicate, { stop, schema })].find(([, holds]) => !holds);
  if (outside !== undefined) throw new Refusal("outside-charter", `outside the clause ${outside[0]}`);
  return model;
}

// Of a receipt that commits to no messages: token ids alone would hide what a conversation began with.
export function checkHasMessages({ context, tokens }) {
  if (context.kind === "text" || (tokens.prompt === 0 && tokens.answer === 0)) return;
  throw new Refusal("prompt-not-adopted", "a conversation, and no message of it is committed to");
}

// `messages`: the disclosed ones, objects with `role` and `content`.
export function checkPrompt(charter, predicate, messages) {
  const roles = messages.map((message) => message.role);
  let holds;
  if (predicate.context.kind === "text") {
    holds = roles.length === 1 && roles[0] === "text";
  } else {
    const adopted = charterSystemPrompt(charter, predicate.language, predicate.persona);
    const told = messages.length > 0 ? messages[0].content : "";
    const isAdopted = told === adopted || (charter.callers.system_messages && told.startsWith(`${adopted}\n\n`));
    holds = isAdopted && roles[0] === "system" && roles.slice(1).every((role) => role === "user" || role === "assistant");
  }
  if (!holds) throw new Refusal("prompt-not-adopted", "the model was told something else first than the adopted prompt");
}

// What whoever asked has put after the adopted prompt; "" for nothing. Of messages that checkPrompt has passed.
export function addedByCaller(charter, predicate, messages) {
  if (predicate.context.kind === "text" || messages.length === 0) return "";
  const adopted = charterSystemPrompt(charter, predicate.language, predicate.persona);
  return messages[0].content.slice(adopted.length).replace(/^\n\n/, "");
}

function* clausesHeld(charter, predicate, { stop, schema }) {
  const { sampling, callers } = charter;
  const { sampler, seed, context, persona, sources, tools } = predicate;
  yield ["sampling.temperature", isWithinBounds(sampler.temperature, sampling.temperature)];
  yield ["sampling.top_p", isWithinBounds(sampler.top_p, sampling.top_p)];
  yield ["sampling.max_tokens", isDecimalWithin(String(sampler.max_tokens), "0", sampling.max_tokens.most)];
  yield ["sampling.caller_seed", sampling.caller_seed || seed.scheme !== "caller"];
  yield ["callers.plain_completions", callers.plain_completions || context.kind !== "text"];
  yield ["callers.stop_strings", callers.stop_strings || !stop];
  yield ["callers.structured_output", callers.structured_output || !schema];
  yield ["callers.ignore_eos", callers.ignore_eos || !sampler.ignore_eos || sampler.max_tokens === 1];
  yield ["personas", persona === "" || charter.personas.some((each) => each.id === persona)];
  yield ["context", context.policy === charter.context.policy];
  yield ["sources", sources.every((each) => charter.sources.allowed.includes(each))];
  yield ["tools", tools.every((each) => charter.tools.allowed.includes(each))];
}

function isWithinBounds(text, bounds) {
  return isDecimalWithin(text, bounds.least, bounds.most);
}

function compareReleases(one, other) {
  const [a, b] = [releaseNumbers(one), releaseNumbers(other)];
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    const [left, right] = [a[at] ?? 0n, b[at] ?? 0n];
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}

// A version's numbers; what follows them (`.dev1`, `rc1`) counts for nothing.
function releaseNumbers(version) {
  const numbers = [];
  for (const part of version.split(".")) {
    const digits = /^[0-9]*/.exec(part)[0];
    if (digits !== "") numbers.push(BigInt(digits));
    if (digits === "" || digits !== part) break;
  }
  return numbers;
}
