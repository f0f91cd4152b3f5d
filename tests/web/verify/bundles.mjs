// What the JavaScript verifier says of bundles: one job a line, { data, charter, keys, policy }, bytes in base64 (policy
// null: the charter's); one report a line. node bundles.mjs MODULE, where MODULE exports `verify`.

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { verify } = await import(pathToFileURL(process.argv[2]));
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
// A step's sentences as the other verifier's JSON has them: filled in.
const filled = ({ text, details }) => text.replace(/%\((\w+)\)s/g, (_, name) => String(details[name]));

for await (const line of createInterface({ input: process.stdin })) {
  const { data, charter, keys, policy } = JSON.parse(line);
  let said;
  try {
    const report = await verify(bytes(data), { charter, keys, policy: policy === null ? null : bytes(policy) });
    const steps = report.steps.map(({ step, outcome, missing }) => ({ step, outcome, missing: missing.map(filled) }));
    said = { verdict: report.verdict, reason: report.reason, step: report.step, detail: report.detail, steps };
  } catch (error) {
    said = { crash: String(error.stack ?? error) };
  }
  console.log(JSON.stringify(said));
}
