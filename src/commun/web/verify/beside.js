// The examination in a thread of its own, so that the page stays alive: for some megabytes it takes seconds.
//
// - The worker runs this page's own script, the very text of it, from a blob: no file is asked for. It has the page's
//   policy: no request can leave it;
// - Trusted Types: the one policy that this page may have makes the one address that it uses;
// - a worker for each file, ended with it: a file that is no longer looked at costs nothing more;
// - where a browser starts none, the page examines the file itself, once it has shown that it does.

import { examine } from "./examination.js";

const PAINTED_MS = 250;
const POLICY = "commun-verifier";

let address = null; // of the script, for workers

// In the worker.
export function serve() {
  globalThis.addEventListener("message", async ({ data: { data, trust } }) => {
    try {
      globalThis.postMessage({ report: await examine(data, trust) });
    } catch (error) {
      globalThis.postMessage({ failed: String(error) });
    }
  });
}

// In the page. `source`: its script. Gives { report: a Promise, which never ends once it was stopped; stop }.
export function examineBeside(source, data, trust) {
  let worker = null;
  const report = new Promise((resolve, reject) => {
    const here = () => setTimeout(() => examine(data, trust).then(resolve, reject), PAINTED_MS);
    try {
      worker = new Worker(addressOf(source));
    } catch {
      here();
      return;
    }
    worker.addEventListener("error", here);
    worker.addEventListener("message", ({ data: { report: made, failed } }) => {
      worker.terminate();
      if (made) resolve(made);
      else reject(new Error(failed));
    });
    worker.postMessage({ data, trust });
  });
  return { report, stop: () => worker?.terminate() };
}

function addressOf(source) {
  if (address === null) {
    const made = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    const createScriptURL = (asked) => (asked === made ? asked : null);
    address = globalThis.trustedTypes?.createPolicy(POLICY, { createScriptURL }).createScriptURL(made) ?? made;
  }
  return address;
}
