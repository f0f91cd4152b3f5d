// Passkeys: making one in the settings or for a new account, signing in with one, showing with one that it is still the same person. The
// authenticator's secret (“prf”), where it has one, goes to the server as a password does.

document.documentElement.classList.add("js");

const toBytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (each) => each.charCodeAt(0));
const toText = (bytes) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

/** What is told as it stands. */
class Refusal extends Error {}

/** Asks the server; throws its own words where it refuses. Where it first wants to know who is there, it says where. */
async function ask(address, body) {
  const response = await fetch(address, {
    method: "POST",
    headers: { accept: "application/json", "content-type": "application/json" },
    body: JSON.stringify(body ?? {}),
  });
  const data = await response.json();
  if (!response.ok && data.url) {
    location.assign(data.url);
    return new Promise(() => {});
  }
  if (!response.ok) throw new Refusal(`${data.error.problem} ${data.error.cure}`);
  return data;
}

/** The options as the browser wants them: bytes where the server wrote text. */
function decoded(options) {
  const { challenge, user, excludeCredentials = [], allowCredentials = [], extensions, ...rest } = options;
  const withBytes = (each) => ({ ...each, id: toBytes(each.id) });
  return {
    ...rest,
    challenge: toBytes(challenge),
    ...(user && { user: { ...user, id: toBytes(user.id) } }),
    excludeCredentials: excludeCredentials.map(withBytes),
    allowCredentials: allowCredentials.map(withBytes),
    extensions: { prf: { eval: { first: toBytes(extensions.prf.eval.first) } } },
  };
}

/** The credential as the server wants it. What the authenticator derived is sent apart, once. */
function encoded(credential) {
  const { response } = credential;
  const parts = ["attestationObject", "clientDataJSON", "authenticatorData", "signature", "userHandle"];
  const sent = Object.fromEntries(parts.filter((part) => response[part]).map((part) => [part, toText(response[part])]));
  return { id: credential.id, rawId: toText(credential.rawId), type: credential.type, response: sent };
}

function derived(credential) {
  const first = credential.getClientExtensionResults().prf?.results?.first;
  return first ? toText(first) : null;
}

/** Some authenticators derive only when they sign in: then they are asked once more, with nothing sent to the server. */
async function derivedAfterwards(credential, options) {
  if (!credential.getClientExtensionResults().prf?.enabled) return null;
  const again = await navigator.credentials.get({
    publicKey: {
      challenge: crypto.getRandomValues(new Uint8Array(32)),
      rpId: options.rp.id,
      allowCredentials: [{ type: "public-key", id: credential.rawId }],
      userVerification: "required",
      extensions: options.extensions,
    },
  });
  return derived(again);
}

async function make(form) {
  const options = decoded(await ask("/settings/passkeys/options"));
  const credential = await navigator.credentials.create({ publicKey: options });
  const prf = derived(credential) ?? (await derivedAfterwards(credential, options));
  const name = new FormData(form).get("name");
  return ask("/settings/passkeys", { name, credential: encoded(credential), prf });
}

async function signIn(form) {
  const options = decoded(await ask("/sign-in/passkey/options"));
  const credential = await navigator.credentials.get({ publicKey: options });
  return ask("/sign-in/passkey", {
    credential: encoded(credential),
    prf: derived(credential),
    next: new FormData(form).get("next") ?? "/",
  });
}

/** For a new account: a passkey that derives nothing would open nothing. One that was made in vain is taken back, where
    the browser can; one of which nobody knows whether the server has it stays. */
async function join(form) {
  const name = document.querySelector("#name");
  if (!name.reportValidity()) return null;
  const options = decoded(await ask("/sign-in/provider/join/passkey/options", { name: name.value }));
  const credential = await navigator.credentials.create({ publicKey: options });
  try {
    const prf = derived(credential) ?? (await derivedAfterwards(credential, options));
    if (!prf) throw new Refusal(form.dataset.opensNothing);
    return await ask("/sign-in/provider/join/passkey", { name: name.value, credential: encoded(credential), prf });
  } catch (error) {
    const vain = error instanceof Refusal || error instanceof DOMException;
    if (vain) await PublicKeyCredential.signalUnknownCredential?.({ rpId: options.rp.id, credentialId: credential.id });
    throw error;
  }
}

async function show(form) {
  const options = decoded(await ask("/is-it-you/passkey/options"));
  const credential = await navigator.credentials.get({ publicKey: options });
  return ask("/is-it-you/passkey", { credential: encoded(credential), next: new FormData(form).get("next") });
}

const ceremonies = { make, join, show, "sign-in": signIn };

for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!globalThis.PublicKeyCredential) continue;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    const said = form.querySelector("[role=status]");
    button.disabled = true;
    said.textContent = "";
    try {
      const done = await ceremonies[form.dataset.passkey](form);
      if (!done) {
        button.disabled = false;
        return;
      }
      const { url } = done;
      const next = new URL(url, location.href);
      const here = next.pathname + next.search === location.pathname + location.search;
      if (here) location.reload();
      else location.assign(next);
    } catch (error) {
      const own = error instanceof DOMException;
      said.textContent = own && error.name === "InvalidStateError" ? form.dataset.already : own ? form.dataset.gaveUp : error.message;
      button.disabled = false;
    }
  });
}
