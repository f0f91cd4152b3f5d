// Models: how far the one is that is being added, until it is over.

import { $, Refusal, ask } from "./page.js";

const EVERY_MS = 1500;
const place = $("#adding[data-running]");

// The sentence is told again only where it changes; the bar moves without being read out each time.
function show(part) {
  const [told, bar] = [$("p", part), $("progress", part)];
  const [before, shown] = [$("p", place), $("progress", place)];
  if (told && before && told.textContent !== before.textContent) before.replaceWith(told);
  if (bar && shown && bar.hasAttribute("value")) shown.value = Number(bar.getAttribute("value"));
}

async function look() {
  try {
    const data = await ask("/models/state", { parts: ["html"] });
    if (data.over) { location.reload(); return; }
    show(data.html);
  } catch (error) { if (!(error instanceof Refusal)) throw error; }  // the server is away for a moment
  setTimeout(look, EVERY_MS);
}

if (place) setTimeout(look, EVERY_MS);
