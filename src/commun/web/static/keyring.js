// Board keys that this browser holds. A private key is made here, cannot be exported, and never leaves this module's
// database: no function here gives it away, and the browser itself refuses to (extractable: false).

const DATABASE = "commun-board";
const STORE = "keys";
const ALGORITHM = "Ed25519";

const hex = (bytes) => [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

function opened() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "public" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function within(mode, act) {
  const database = await opened();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode, { durability: "strict" });
      const request = act(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

/** "" where keys can be held here; else why not: "insecure" (plain http), "missing" (no Ed25519, or no storage). */
export async function whyNot() {
  if (!isSecureContext) return "insecure";
  try {
    await crypto.subtle.generateKey(ALGORITHM, false, ["sign", "verify"]);
    await within("readonly", (store) => store.count());
    return "";
  } catch {
    return "missing";
  }
}

/** What is known of each key: { public, name, charter, made }. `public`: its text form, ed25519: and 64 digits. */
export async function held() {
  const records = await within("readonly", (store) => store.getAll());
  return records.map(({ public: text, name, charter, made }) => ({ public: text, name, charter, made }));
}

/** A new key for this name on the board of this charter (the digest of its first root). Gives its public text. */
export async function make(name, charter) {
  await navigator.storage?.persist?.().catch(() => false); // asks that it be kept; a refusal changes nothing
  const keys = await crypto.subtle.generateKey(ALGORITHM, false, ["sign", "verify"]);
  const text = `ed25519:${hex(await crypto.subtle.exportKey("raw", keys.publicKey))}`;
  await within("readwrite", (store) => store.add({ public: text, name, charter, made: new Date().toISOString(), keys }));
  return text;
}

/** Signatures in hex, by the names of `payloads` (bytes). What is signed must have been checked before. */
export async function sign(text, payloads) {
  const record = await within("readonly", (store) => store.get(text));
  const signatures = {};
  for (const [name, bytes] of Object.entries(payloads)) {
    signatures[name] = hex(await crypto.subtle.sign(ALGORITHM, record.keys.privateKey, bytes));
  }
  return signatures;
}
