// From the charter's files to its clauses (docs/spec/charter.md, "Source form"): every rule that makes a charter refused.
//
// `readCharterClauses(files)`, a Map from names to bytes, gives the clauses in the form whose digests entrenchment compares:
// plain objects with the specification's field names, decimals as texts, dates as texts, models in the order of their
// files' names. Refuses with charter-invalid.

import { BadWriting, fromUtf8, hex, sha256, utf8 } from "../bytes.js";
import { rfc8785 } from "../canonical.js";
import { charterKeyFromText } from "./keys.js";
import { CHARTER_SCHEMA, MODEL_SCHEMA } from "./schema.js";
import { isCharterAddress } from "./address.js";
import { isDecimalWithin } from "./decimal.js";
import { byCharterCodePoint, charterRefusal, hasHidden, readCharterFile } from "./values.js";

const CHARTER_FILES_MOST = 256;
export const CHARTER_FILE_BYTES_MOST = 256 * 1024;
export const CHARTER_BYTES_MOST = 4 * 1024 * 1024;
const CHARTER_NAME_MOST = 128;
const CHARTER_PROMPT = /^prompts\/([a-z0-9][a-z0-9-]{0,31})\.(en|fr)\.md$/;
const CHARTER_MODEL = /^models\/([a-z0-9][a-z0-9._-]{0,63})\.toml$/;
const CHARTER_LANGUAGES = ["en", "fr"];
const CHARTER_SYSTEM = "system"; // the prompt that every persona is added to

export function isCharterFileName(name) {
  if (name.length > CHARTER_NAME_MOST) return false;
  return name === "charter.toml" || CHARTER_PROMPT.test(name) || CHARTER_MODEL.test(name);
}

export async function readCharterClauses(files) {
  checkCharterSizes(files);
  const texts = new Map([...files.keys()].sort().map((name) => [name, charterFileText(name, files.get(name))]));
  if (!texts.has("charter.toml")) throw charterRefusal("charter.toml is missing");
  const charter = readCharterFile("charter.toml", texts.get("charter.toml"), CHARTER_SCHEMA);
  const models = [];
  for (const [name, text] of texts) {
    const found = CHARTER_MODEL.exec(name);
    if (found !== null) models.push(await readCharterModel(name, found[1], text));
  }
  await checkCharterBoard(charter.board);
  checkEntrenched(charter);
  checkPersonas(charter);
  checkNumbers(charter);
  checkHold(charter);
  if (!models.some((model) => model.id === charter.models.default)) throw charterRefusal("the default model is not adopted");
  checkPromptFiles(charter, texts);
  delete charter.format;
  charter.models.adopted = models;
  charter.prompts.system = charterPrompt(texts, CHARTER_SYSTEM);
  for (const persona of charter.personas) persona.prompt = charterPrompt(texts, persona.id);
  return charter;
}

// A clause by its dotted name, as plain data; null where the charter leaves it out.
export function charterClause(charter, name) {
  return name.split(".").reduce((value, part) => value[part], charter) ?? null;
}

export async function charterClauseDigest(charter, name) {
  return hex(await sha256(rfc8785(charterClause(charter, name))));
}

// What the model is told first: the system prompt, and the persona's after it.
export function charterSystemPrompt(charter, language, personaId) {
  const persona = charter.personas.find((each) => each.id === personaId);
  const texts = [charter.prompts.system[language]];
  if (persona !== undefined) texts.push(persona.prompt[language]);
  return texts.join("\n\n");
}

function checkCharterSizes(files) {
  let total = 0;
  for (const [name, data] of files) {
    if (!isCharterFileName(name)) throw charterRefusal("a file that no charter has");
    if (data.length > CHARTER_FILE_BYTES_MOST) throw charterRefusal("a file is larger than a charter's may be");
    total += data.length;
  }
  if (files.size > CHARTER_FILES_MOST || total > CHARTER_BYTES_MOST) throw charterRefusal("more files than a charter may have");
}

function charterFileText(name, data) {
  try {
    const text = fromUtf8(data).replaceAll("\r\n", "\n");
    if (hasHidden(text)) throw charterRefusal(`${name} has a hidden character`);
    return text;
  } catch (error) {
    if (!(error instanceof BadWriting)) throw error;
    throw charterRefusal(`${name} is not UTF-8`);
  }
}

async function readCharterModel(name, id, text) {
  const model = readCharterFile(name, text, MODEL_SCHEMA);
  if (model.id !== id) throw charterRefusal(`${name} is not called like its model`);
  model.files.sort((one, other) => byCharterCodePoint(one.path, other.path));
  if (model.format === "remote") {
    if (model.digest !== "" || model.files.length > 0 || model.converted.length > 0) {
      throw charterRefusal(`${name}: a remote model has neither files nor digests`);
    }
    if (model.remote_model === "" || !isCharterAddress(model.url)) throw charterRefusal(`${name}: a remote model has an address`);
    return model;
  }
  if (model.url !== "" || model.remote_model !== "") throw charterRefusal(`${name}: only a remote model has an address`);
  if (model.format !== "gguf-converted" && model.converted.length > 0) throw charterRefusal(`${name}: nothing is converted`);
  checkModelPaths(name, model.files);
  if (model.digest !== (await charterModelDigest(model))) throw charterRefusal(`${name}: its digest is not that of its files`);
  return model;
}

// Inside the model's folder on every system, and no two that differ by capitals alone.
function checkModelPaths(name, files) {
  if (files.length === 0) throw charterRefusal(`${name}: it has no files`);
  for (const { path } of files) {
    const isSafe = path
      .split("/")
      .every((part) => !/[. ]$/.test(part) && part !== "" && !/[\\:*?"<>|]/.test(part) && !/(?! )[\p{C}\p{Z}]/u.test(part));
    if (!isSafe) throw charterRefusal(`${name}: a path leaves the model's folder`);
  }
  if (new Set(files.map((file) => foldedCase(file.path))).size !== files.length) throw charterRefusal(`${name}: a path twice`);
}

// The engine's rule, whose JSON escapes everything outside ASCII.
async function charterModelDigest({ context_length, family, files, format }) {
  const rows = files.map((file) => [file.path, file.size, file.sha256]);
  const text = JSON.stringify({ context_length, family, files: rows, format });
  const ascii = text.replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return hex(await sha256(utf8(ascii)));
}

async function checkCharterBoard({ quorum, members }) {
  if (quorum > members.length) throw charterRefusal("the quorum is above the number of members");
  if (new Set(members.map((each) => foldedCase(each.name.normalize("NFKC")))).size !== members.length) {
    throw charterRefusal("two members of one name");
  }
  if (new Set(members.map((each) => each.key)).size !== members.length) throw charterRefusal("two members of one key");
  for (const each of members) await charterKeyFromText(each.key);
}

function checkEntrenched({ board, entrenched, personas }) {
  const { clauses, guards } = entrenched;
  if (clauses.length > 0 && guards.length === 0) throw charterRefusal("entrenched clauses that nobody guards");
  if (personas.length > 0 && clauses.includes("prompts") && !clauses.includes("personas")) {
    throw charterRefusal("“prompts” entrenched without “personas”");
  }
  for (const guard of guards) {
    if (!board.members.some((each) => each.name === guard)) throw charterRefusal("a guard is no member");
  }
}

function checkPersonas({ personas, prompts }) {
  const ids = personas.map((each) => each.id);
  if (ids.includes(CHARTER_SYSTEM) || new Set(ids).size !== ids.length) throw charterRefusal("a persona's id is taken");
  if (prompts.persona !== "" && !ids.includes(prompts.persona)) throw charterRefusal("the persona that answers is none");
}

function checkNumbers({ sampling, context, software }) {
  for (const bounds of [sampling.temperature, sampling.top_p, sampling.max_tokens]) {
    if (!isDecimalWithin(bounds.default, bounds.least, bounds.most)) throw charterRefusal("a default is outside its bounds");
  }
  if (context.answer_reserve >= context.most_tokens) throw charterRefusal("the answer's reserve is not below the context");
  if (compareVersions(software.least, software.below) >= 0) throw charterRefusal("no version of Commun is allowed");
}

// A legal hold ends with the board's mandate at the latest. Dates are texts of one form: their order is the calendar's.
function checkHold({ mandate, retention }) {
  if (retention.hold_until !== undefined && retention.hold_until > mandate.until) {
    throw charterRefusal("a hold lasts longer than the mandate");
  }
}

// By their numbers; the ones that are missing are 0.
function compareVersions(one, other) {
  const [a, b] = [one, other].map((version) => version.split(".").map(Number));
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function checkPromptFiles(charter, texts) {
  const ids = [CHARTER_SYSTEM, ...charter.personas.map((each) => each.id)];
  for (const id of ids) {
    for (const language of CHARTER_LANGUAGES) {
      const text = texts.get(`prompts/${id}.${language}.md`);
      if (text === undefined || text.trim() === "") throw charterRefusal(`the prompt ${id} is missing or empty`);
    }
  }
  for (const name of texts.keys()) {
    const found = CHARTER_PROMPT.exec(name);
    if (found !== null && !ids.includes(found[1])) throw charterRefusal(`${name} belongs to no persona`);
  }
}

function charterPrompt(texts, id) {
  return Object.fromEntries(CHARTER_LANGUAGES.map((language) => [language, texts.get(`prompts/${id}.${language}.md`).trim()]));
}

// Unicode's full case folding, out of what engines have: two texts differ in it where they differ in capitals' eyes. Of
// all characters only these two fold otherwise.
function foldedCase(text) {
  return Array.from(text, (character) => {
    if (character === "\u0131") return character; // ı is no i
    if (character === "\u1e9e") return "ss";
    return Array.from(character.toUpperCase(), (each) => each.toLowerCase()).join("");
  }).join("");
}
