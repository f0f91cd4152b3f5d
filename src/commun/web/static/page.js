// What every other script here uses: rendered HTML from our own server into the page, and short messages to the reader.
// Server HTML is the only HTML: the one Trusted Types policy of the page stays inside this module, and is applied only
// to the answer of a request that this module made itself, or to an event of a stream that it opened itself.

const policy = globalThis.trustedTypes
  ? trustedTypes.createPolicy("commun", { createHTML: (html) => html })
  : { createHTML: (html) => html };

export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
export const words = () => $("#words").dataset;

/** Parsed server HTML; never exported: callers name a request or a stream, not a string. */
function parsed(html) {
  const template = document.createElement("template");
  template.innerHTML = policy.createHTML(html);
  return template.content;
}

export class Refusal extends Error {}

/** Asks our own server. Gives the JSON with every rendered part (`parts` names them) as a document fragment. */
export async function ask(url, { body, parts = [], signal } = {}) {
  const target = new URL(url, location.href);
  if (target.origin !== location.origin) throw new Refusal("another origin");
  let response;
  try {
    response = await fetch(target, {
      method: body ? "POST" : "GET", body, signal, headers: { Accept: "application/json" }, credentials: "same-origin",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(words().unreachable, { cause: error });
  }
  if (response.status === 401 || response.status === 403) {
    location.reload();
    throw new Refusal("");
  }
  const data = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refusal(data.error ? `${data.error.problem} ${data.error.cure}` : words().unreachable);
  for (const name of parts) if (typeof data[name] === "string") data[name] = parsed(data[name]);
  return data;
}

/** Follows one answer: `on[name](data)` for each event, with the rendered parts as fragments. Gives the EventSource. */
export function follow(answerId, on, gone) {
  const source = new EventSource(`/answers/${encodeURIComponent(answerId)}/events`);
  for (const name of ["reset", "status", "update", "end"]) {
    source.addEventListener(name, (event) => {
      const data = JSON.parse(event.data);
      for (const key of ["frozen", "tail", "append", "aftermath", "seal", "cost"]) {
        if (typeof data[key] === "string") data[key] = parsed(data[key]);
      }
      on[name](data);
      if (name === "end") source.close();
    });
  }
  source.addEventListener("error", () => gone(source.readyState === EventSource.CLOSED));
  source.addEventListener("open", () => on.open());
  return source;
}

/** Says something to screen readers only. */
export function announce(text) {
  const region = $("#announce");
  region.textContent = "";
  setTimeout(() => { region.textContent = text; }, 50);
}

let toastTimer;
/** Shows a short message, `content` being text or a rendered part, for as long as it may be needed. */
export function toast(content, seconds = 6) {
  const region = $("#toasts");
  const box = typeof content === "string" ? Object.assign(document.createElement("div"), { className: "toast", textContent: content }) : content;
  region.replaceChildren(box);
  clearTimeout(toastTimer);
  const fade = () => { toastTimer = setTimeout(() => (region.matches(":hover, :focus-within") ? fade() : region.replaceChildren()), seconds * 1000); };
  fade();
}

export async function copy(text, button) {
  await navigator.clipboard.writeText(text);
  announce(words().copied);
  if (!button) return toast(words().copied, 2);
  const icon = $("svg", button);
  if (!icon || button.dataset.busy) return;
  button.dataset.busy = "1";
  const done = $("#copied-icon").content.cloneNode(true);
  const before = icon.cloneNode(true);
  icon.replaceWith(done);
  setTimeout(() => { $("svg", button).replaceWith(before); delete button.dataset.busy; }, 1600);
}

const NEAR_PX = 96;
let held = true; // whether the page keeps to its end while an answer grows

export const isAtEnd = () => innerHeight + scrollY >= document.documentElement.scrollHeight - NEAR_PX;
export function toEnd(smooth = false) {
  held = true;
  scrollTo({ top: document.documentElement.scrollHeight, behavior: smooth ? "smooth" : "instant" });
}
/** Runs `change`, and stays at the end of the page if the reader was there. */
export function keepingPlace(change) {
  change();
  if (held) toEnd();
}

let lastTop = 0;
addEventListener("scroll", () => {
  if (isAtEnd()) held = true;
  else if (scrollY < lastTop - 2) held = false; // only the reader scrolls up
  lastTop = scrollY;
  const button = $("#to-end");
  if (button) button.hidden = isAtEnd();
}, { passive: true });
