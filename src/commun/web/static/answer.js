// One answer on the page: followed while it is being written, and made handy (copy buttons) when a part is finished.

import { $, $$, announce, ask, follow, keepingPlace, words } from "./page.js";

let current = null; // the EventSource of the answer that is being followed

export const runningAnswer = () => $(".answer[data-running]");

/** Adds what needs scripts to finished HTML: a button to each code block, a hint to each image link. */
export function enhance(root) {
  for (const place of $$("figure.code .copy:empty", root)) place.append($("#copy-button").content.cloneNode(true));
  for (const link of $$("a.image[data-src]:not([title])", root)) {
    link.title = words().image.replace("{host}", URL.canParse(link.href) ? new URL(link.href).host : "");
  }
}

/** Freezes what is finished and replaces the tail: what the server says, in its order. */
function grow(article, data) {
  const part = $(`[data-part="${data.where}"]`, article);
  const tail = $(":scope > .tail", part);
  if (data.where === "thought") $(".thought", article).hidden = false;
  enhance(data.frozen);
  tail.before(data.frozen);
  if (data.append) $("code.open", tail)?.append(data.append);
  else tail.replaceChildren(data.tail);
}

function reset(article) {
  for (const part of $$(".prose[data-part]", article)) {
    const tail = document.createElement("div");
    tail.className = "tail";
    part.replaceChildren(tail);
  }
}

function end(article, data, finished) {
  delete article.dataset.running;
  article.toggleAttribute("data-failed", data.state === "failed");
  $(".waiting", article)?.remove();
  $(".aftermath", article).replaceChildren(data.aftermath);
  $("[data-part=seal]", article).replaceChildren(data.seal);
  $("[data-part=cost]", article).replaceChildren(data.cost);
  $("template.source", article).content.replaceChildren(data.text);
  enhance(article);
  announce(data.announce);
  finished(article, data);
}

/** Follows the running answer of the page, if there is one. `finished(article, data)` at its end, `lost()` when the
 * server no longer knows it. */
export function followRunning(finished, lost) {
  current?.close();
  const article = runningAnswer();
  if (!article) return;
  const status = $("[data-part=status]", article);
  let begun = false;
  const say = (text) => { if (status.textContent !== text) { status.textContent = text; if (!begun) announce(text); } };
  current = follow(article.dataset.id, {
    open: () => article.classList.remove("waits"),
    reset: () => { /* the first update that follows carries everything: until then what stands here stays */ article.dataset.stale = ""; },
    status: (data) => {
      say(data.text);
      if (data.notice) $(".aftermath", article).textContent = data.notice;
    },
    update: (data) => keepingPlace(() => {
      if ("stale" in article.dataset) { reset(article); delete article.dataset.stale; }
      if (!begun) { begun = true; announce(words().started); article.classList.add("begun"); }
      grow(article, data);
    }),
    end: (data) => keepingPlace(() => end(article, data, finished)),
  }, (closed) => {
    if (closed) lost();
    else say(words().reconnecting);
  });
}

export async function stopAnswer() {
  const article = runningAnswer();
  if (article) await ask(`/answers/${article.dataset.id}/stop`, { body: new FormData() });
}
