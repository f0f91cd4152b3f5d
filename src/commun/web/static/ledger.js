// The ledger's pages: copying the key, and finding the entry of a proof that lies on the reader's disk. The file is read
// here; what is sent is the SHA-256 of its envelope, which is in the public ledger anyway.

document.documentElement.classList.add("js");

const MAX_BUNDLE_BYTES = 16 << 20;
const said = document.querySelector("#said");

for (const button of document.querySelectorAll("[data-copy-from]")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copyFrom).textContent.trim());
    said.textContent = "";
    setTimeout(() => { said.textContent = said.dataset.copied; }, 50);
  });
}

/** The SHA-256 of a bundle's envelope in hex; null for what is no bundle. */
async function envelopeDigest(file) {
  if (file.size > MAX_BUNDLE_BYTES) return null;
  let envelope;
  try {
    envelope = JSON.parse(await file.text())?.envelope;
  } catch {
    return null;
  }
  if (typeof envelope !== "string" || !envelope) return null;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(envelope));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

for (const form of document.querySelectorAll("[data-find]")) {
  const problem = form.querySelector(".drop-problem");

  const take = async (file) => {
    problem.textContent = "";
    if (!globalThis.crypto?.subtle) {
      problem.textContent = problem.dataset.insecure;
      return;
    }
    const digest = await envelopeDigest(file);
    if (digest === null) {
      problem.textContent = problem.dataset.unreadable;
      return;
    }
    form.elements.receipt.value = digest;
    form.requestSubmit();
  };

  form.querySelector("[data-bundle]").addEventListener("change", (event) => {
    const [file] = event.target.files;
    if (file) take(file);
  });
  form.addEventListener("dragover", (event) => { event.preventDefault(); form.classList.add("over"); });
  form.addEventListener("dragleave", () => form.classList.remove("over"));
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    form.classList.remove("over");
    const [file] = event.dataTransfer.files;
    if (file) take(file);
  });
}
