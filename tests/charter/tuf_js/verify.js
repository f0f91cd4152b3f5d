// Fetches and verifies targets with tuf-js, which shares no code with Commun or python-tuf.
//
//     node verify.js FOLDER URL TARGET…
//
// FOLDER/root.json is the root that is trusted at the start; FOLDER keeps what is trusted. Prints one JSON object:
// {"root": version, "edition": the signed x-commun field of targets, "targets": {path: SHA-256}}. Refused: exit code 1,
// and the name of tuf-js's error on standard error.
const { createHash } = require("node:crypto");
const { mkdirSync, readFileSync } = require("node:fs");
const { join } = require("node:path");
const { Updater } = require("tuf-js");

async function verify(folder, url, paths) {
  const targetDir = join(folder, "targets");
  mkdirSync(targetDir, { recursive: true });
  const updater = new Updater({
    metadataDir: folder,
    metadataBaseUrl: `${url}/metadata`,
    targetDir,
    targetBaseUrl: `${url}/targets`,
  });
  await updater.refresh();
  const targets = {};
  for (const [number, path] of paths.entries()) {
    const info = await updater.getTargetInfo(path);
    if (!info) throw new Error(`not listed: ${path}`);
    const local = await updater.downloadTarget(info, join(targetDir, String(number)));
    targets[path] = createHash("sha256").update(readFileSync(local)).digest("hex");
  }
  const signed = (name) => JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8")).signed;
  return { root: signed("root").version, edition: signed("targets")["x-commun"], targets };
}

const [folder, url, ...paths] = process.argv.slice(2);
verify(folder, url, paths).then(
  (result) => console.log(JSON.stringify(result)),
  (error) => {
    console.error(`${error.constructor.name}: ${error.message}`);
    process.exitCode = 1;
  },
);
