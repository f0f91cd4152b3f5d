// Which keys charter.toml and models/<id>.toml have, of which kind and within which bounds (docs/spec/charter.md).
//
// A part is a table (`parts` by name), a list of tables (`most` of them) or a value of a kind. `absent`: what stands for a
// part that may be left out; `optional`: nothing does, the clause has no such part then; without either a missing part is a
// mistake. `least` and `most`: of a text its characters, of a list its entries, of a number itself (of a decimal in
// millionths), of a date itself. `form`: for a whole text, or for each entry of a list.

export const CHARTER_CLAUSES = [
  "name",
  "purpose",
  "mandate",
  "board.quorum",
  "board.members",
  "entrenched",
  "prompts",
  "personas",
  "models",
  "sampling",
  "sampling.profile",
  "sampling.caller_seed",
  "sampling.temperature",
  "sampling.top_p",
  "sampling.max_tokens",
  "context",
  "callers",
  "callers.system_messages",
  "callers.plain_completions",
  "callers.structured_output",
  "callers.stop_strings",
  "callers.ignore_eos",
  "retention",
  "retention.days",
  "retention.hold_until",
  "temporary",
  "audit",
  "disclosure",
  "sources",
  "tools",
  "software",
  "witnesses",
];

const SCHEMA_TOKENS = 2 ** 31;
const SCHEMA_PERSONA = /^[a-z0-9][a-z0-9-]{0,31}$/;
const SCHEMA_MODEL = /^[a-z0-9][a-z0-9._-]{0,63}$/;
const SCHEMA_TOOL = /^[A-Za-z0-9_][A-Za-z0-9_./-]{0,127}$/;
const SCHEMA_DIGEST = /^[0-9a-f]{64}$/;
const SCHEMA_LINK = /^https?:\/\/[^\s]{1,2000}$/u;
export const SCHEMA_VERSION = /^(?:0|[1-9][0-9]{0,5})(?:\.(?:0|[1-9][0-9]{0,5})){0,3}$/;

function schemaTable(parts, more = {}) {
  return { kind: "table", parts: new Map(Object.entries(parts)), ...more };
}

function schemaTables(most, parts, more = {}) {
  return { kind: "tables", most, parts: new Map(Object.entries(parts)), ...more };
}

function schemaLine(least, most, more = {}) {
  return { kind: "line", least, most, ...more };
}

function schemaText(least, most) {
  return { kind: "text", least, most };
}

function schemaChoice(...choices) {
  return { kind: "line", choices };
}

function schemaBoth(value) {
  return schemaTable({ en: value, fr: value });
}

function schemaList(most, item) {
  return { kind: "list", most, item: { kind: "line", least: 1, most: 200, ...item } };
}

function schemaWhole(least, most, more = {}) {
  return { kind: "whole", least: BigInt(least), most: BigInt(most), ...more };
}

function schemaBounds(value) {
  return schemaTable({ default: value, least: value, most: value });
}

function schemaNumber(least, most) {
  return { kind: "number", least, most };
}

function schemaDate(more = {}) {
  return { kind: "date", least: "2000-01-01", most: "2199-12-31", ...more };
}

const SCHEMA_FLAG = { kind: "flag" };

export const CHARTER_SCHEMA = schemaTable({
  format: schemaChoice("commun-charter/1"),
  name: schemaLine(1, 120),
  purpose: schemaBoth(schemaText(1, 4000)),
  mandate: schemaTable({ until: schemaDate() }),
  board: schemaTable({
    quorum: schemaWhole(1, 60),
    members: schemaTables(60, { name: schemaLine(1, 80), key: schemaLine(1, 400) }),
  }),
  entrenched: schemaTable({
    clauses: schemaList(CHARTER_CLAUSES.length, { choices: CHARTER_CLAUSES }),
    guards: schemaList(60),
  }),
  prompts: schemaTable({ language: schemaChoice("en", "fr"), persona: schemaLine(0, 32) }),
  personas: schemaTables(
    50,
    {
      id: schemaLine(1, 32, { form: SCHEMA_PERSONA }),
      name: schemaBoth(schemaLine(1, 60)),
      about: schemaBoth(schemaText(1, 400)),
    },
    { absent: [] },
  ),
  models: schemaTable({ default: schemaLine(1, 64, { form: SCHEMA_MODEL }) }),
  sampling: schemaTable({
    profile: schemaChoice("exact", "fast"),
    caller_seed: SCHEMA_FLAG,
    temperature: schemaBounds(schemaNumber(0n, 2000000n)),
    top_p: schemaBounds(schemaNumber(1n, 1000000n)),
    max_tokens: schemaBounds(schemaWhole(1, SCHEMA_TOKENS, { asText: true })),
  }),
  context: schemaTable({
    policy: schemaChoice("oldest-turns-first"),
    answer_reserve: schemaWhole(1, SCHEMA_TOKENS),
    most_tokens: schemaWhole(1, SCHEMA_TOKENS),
  }),
  callers: schemaTable({
    system_messages: SCHEMA_FLAG,
    plain_completions: SCHEMA_FLAG,
    structured_output: SCHEMA_FLAG,
    stop_strings: SCHEMA_FLAG,
    ignore_eos: SCHEMA_FLAG,
  }),
  retention: schemaTable({ days: schemaWhole(0, 36500), hold_until: schemaDate({ optional: true }) }),
  temporary: schemaTable({ rule: schemaChoice("offered", "only", "never") }),
  audit: schemaTable({ sample_rate: schemaNumber(0n, 1000000n) }, { absent: { sample_rate: "0" } }),
  disclosure: schemaBoth(schemaText(1, 1000)),
  sources: schemaTable({ allowed: schemaList(3, { choices: ["documents", "feeds", "web"] }) }),
  tools: schemaTable({ allowed: schemaList(100, { form: SCHEMA_TOOL }) }),
  software: schemaTable({
    least: schemaLine(1, 27, { form: SCHEMA_VERSION }),
    below: schemaLine(1, 27, { form: SCHEMA_VERSION }),
  }),
  witnesses: schemaTable({ policy: schemaText(0, 16384) }),
});

export const MODEL_SCHEMA = schemaTable({
  id: schemaLine(1, 64, { form: SCHEMA_MODEL }),
  name: schemaLine(1, 200),
  family: schemaLine(1, 64),
  context_length: schemaWhole(1, SCHEMA_TOKENS),
  format: schemaChoice("gguf-converted", "openvino", "remote"),
  licence: schemaLine(1, 200),
  source: schemaLine(1, 2000),
  training_summary: schemaLine(0, 2000, { form: SCHEMA_LINK, absent: "" }),
  digest: schemaLine(0, 64, { form: SCHEMA_DIGEST, absent: "" }),
  url: schemaLine(0, 2000, { absent: "" }),
  remote_model: schemaLine(0, 200, { absent: "" }),
  converted: { kind: "digests", most: 100, form: SCHEMA_DIGEST, absent: [] },
  files: schemaTables(
    1000,
    {
      path: schemaLine(1, 400),
      size: schemaWhole(0, Number.MAX_SAFE_INTEGER),
      sha256: schemaLine(1, 64, { form: SCHEMA_DIGEST }),
    },
    { absent: [] },
  ),
});
