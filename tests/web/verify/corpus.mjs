// All published vectors against a verifier in JavaScript: node corpus.mjs MODULE [FOLDER], where MODULE exports `verify` and
// FOLDER is tests/vectors/receipts. Prints what differs; exit status 1 where anything does.

import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const [module, folder = fileURLToPath(new URL("../../vectors/receipts", import.meta.url))] = process.argv.slice(2);
const { verify } = await import(pathToFileURL(resolve(module)));
const read = (file) => new Uint8Array(readFileSync(join(folder, file)));
const cases = JSON.parse(readFileSync(join(folder, "index.json"), "utf-8"));

let differ = 0;
for (const { file, charter, keys, policy, verdict, reason } of cases) {
  const found = await verify(read(file), { charter, keys, policy: policy === "" ? null : read(policy) });
  if (found.verdict === verdict && (found.reason ?? "") === reason) continue;
  differ += 1;
  console.log(`${file}: ${verdict} ${reason} expected, ${found.verdict} ${found.reason ?? ""} found (${found.detail})`);
}
console.log(`${cases.length} bundles, ${differ} differ`);
process.exitCode = differ > 0 || cases.length === 0 ? 1 : 0;
