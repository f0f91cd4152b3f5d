// The frame around a chat: sidebar, menus, dialogs, keys.

import { $, $$, Refusal, ask } from "./page.js";

const WIDE = "(min-width: 56rem)";
const STORED = "commun.single-keys";

// ---- the sidebar: beside the page on a wide screen, over it on a narrow one

const isOver = () => !matchMedia(WIDE).matches;

export function toggleSidebar() {
  const root = document.documentElement;
  if (!isOver()) {
    const hidden = root.toggleAttribute("data-no-sidebar");
    document.cookie = `commun_sidebar=${hidden ? "hidden" : "shown"}; path=/; max-age=31536000; samesite=lax`;
    (hidden ? $(".open-sidebar") : $("#close-sidebar"))?.focus();
  } else if (root.hasAttribute("data-sidebar-over")) closeSidebar();
  else {
    root.setAttribute("data-sidebar-over", "");
    $(".column").inert = true;
    $("#close-sidebar").focus();
  }
}

export function closeSidebar() {
  const root = document.documentElement;
  if (!root.hasAttribute("data-sidebar-over")) return;
  root.removeAttribute("data-sidebar-over");
  $(".column").inert = false;
  $(".open-sidebar")?.focus();
}

// ---- dialogs and menus

export function openDialog(id) {
  const dialog = document.getElementById(id);
  if (!dialog || dialog.open) return;
  closeSidebar();
  dialog.showModal();
  if (id !== "search-dialog") return;
  $("#search-field").select();
  search($("#search-field").value.trim());
}

let searching;
async function search(wanted) {
  searching?.abort();
  searching = new AbortController();
  try {
    const data = await ask(`/search?q=${encodeURIComponent(wanted)}`, { parts: ["html"], signal: searching.signal });
    $("#search-hits").replaceChildren(data.html);
  } catch (error) {
    if (error instanceof Refusal) $("#search-hits").textContent = error.message;
    else if (error.name !== "AbortError") throw error;
  }
}

function startSearch() {
  const dialog = $("#search-dialog");
  if (!dialog) return; // a guest has nothing to search in
  const field = $("#search-field");
  let timer;
  field.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => search(field.value.trim()), 150); });
  dialog.addEventListener("keydown", (event) => {
    const links = $$(".hits a", dialog);
    const at = links.indexOf(document.activeElement);
    if (event.key === "ArrowDown" && links.length) { event.preventDefault(); links[Math.min(at + 1, links.length - 1)].focus(); }
    if (event.key === "ArrowUp" && at >= 0) { event.preventDefault(); (links[at - 1] ?? field).focus(); }
  });
  $("form", dialog).addEventListener("submit", (event) => {
    const first = $(".hits a", dialog);
    if (first) { event.preventDefault(); first.click(); }
  });
}

const FOLDERS = "commun_folders"; // in visit.py, too
const MOST_FOLDERS = 40;

/** Which folders the reader opened and closed: the server draws the list. Ids between dots, a hyphen before a closed one. */
function rememberFolder({ dataset: { folder }, open }) {
  const kept = document.cookie.split("; ").find((each) => each.startsWith(`${FOLDERS}=`))?.slice(FOLDERS.length + 1) ?? "";
  const others = kept.split(".").filter((each) => each && each !== folder && each !== `-${folder}`);
  const states = [...others, open ? folder : `-${folder}`].slice(-MOST_FOLDERS);
  document.cookie = `${FOLDERS}=${states.join(".")}; path=/; max-age=31536000; samesite=lax`;
}

/** The menu of a line in the list: one for all lines, filled when it opens. `change(url, body)` does what was chosen. */
export function startMenus({ change }) {
  startSearch();
  const menu = $("#item-menu");
  let line = null;
  let id = "";
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-opens]");
    if (opener) { event.preventDefault(); openDialog(opener.dataset.opens); }
    const closer = event.target.closest("[data-close]");
    if (closer) closer.closest("dialog").close();
    if (event.target.matches("dialog")) event.target.close(); // its backdrop
    if (event.target.closest(".open-sidebar, #close-sidebar, .veil")) { event.preventDefault(); toggleSidebar(); }
    for (const details of $$("details.menu[open]")) if (!details.contains(event.target)) details.open = false;
    const folder = event.target.closest("details.folder > summary")?.parentElement;
    if (folder) setTimeout(() => rememberFolder(folder)); // once it has opened or closed
    const more = event.target.closest("[data-menu]");
    if (more) openMenu(more);
  });
  function openMenu(button) {
    line = button.closest("li");
    id = button.dataset.menu;
    $("[data-do=move]", menu).href = `/c/${id}/move`;
    $("[data-do=readers]", menu).href = `/c/${id}/readers`;
    $("[data-do=md]", menu).href = `/c/${id}/export.md`;
    $("[data-do=json]", menu).href = `/c/${id}/export.json`;
    menu.showPopover();
    const box = button.getBoundingClientRect();
    menu.style.left = `${Math.min(box.left, innerWidth - menu.offsetWidth - 8)}px`;
    menu.style.top = `${Math.min(box.bottom + 4, innerHeight - menu.offsetHeight - 8)}px`;
    $("[role=menuitem]", menu).focus();
  }
  menu.addEventListener("keydown", (event) => {
    const items = $$("[role=menuitem]", menu);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) { event.preventDefault(); items.at((items.indexOf(document.activeElement) + step) % items.length).focus(); }
  });
  menu.addEventListener("toggle", (event) => { if (event.newState === "closed") $("[data-menu]", line)?.focus(); });
  menu.addEventListener("click", async (event) => {
    const chosen = event.target.closest("[data-do]")?.dataset.do;
    if (!chosen) return;
    const [where, target] = [line, id];
    menu.hidePopover();
    if (chosen === "rename") rename(where, target, change);
    if (chosen === "delete") {
      if (target === $("#chat")?.dataset.conversation) $("[data-delete]").requestSubmit();
      else await change(`/c/${target}/delete`, new FormData());
    }
  });
}

function rename(line, id, change) {
  const link = $("a", line);
  const form = $("#rename-form").content.firstElementChild.cloneNode(true);
  const input = $("input", form);
  input.value = link.textContent;
  line.classList.add("renaming");
  line.append(form);
  input.select();
  let over = false; // removing the form blurs its field, which ends it, too
  const done = () => { if (over) return; over = true; form.remove(); line.classList.remove("renaming"); link.focus(); };
  form.addEventListener("keydown", (event) => { if (event.key === "Escape") { event.stopPropagation(); done(); } });
  input.addEventListener("blur", done);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const body = new FormData(form);
    done();
    if (input.value.trim() && input.value !== link.textContent) change(`/c/${id}/rename`, body);
  });
}

// ---- keys

const isWriting = (target) => target.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");

export function startKeys(actions) {
  const single = $("#single-keys");
  single.checked = localStorage.getItem(STORED) !== "off";
  single.addEventListener("change", () => localStorage.setItem(STORED, single.checked ? "on" : "off"));
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    const key = event.key.toLowerCase();
    const command = (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;
    if (command && (key === "k" || key === "b")) {
      event.preventDefault();
      return key === "k" ? actions.search() : actions.sidebar();
    }
    if (event.ctrlKey || event.metaKey || event.altKey || $("dialog[open]")) return;
    if (key === "escape") {
      const menu = $("details.menu[open]");
      if (menu) { menu.open = false; return $("summary", menu).focus(); }
      return $("#item-menu").matches(":popover-open") ? undefined : actions.stop();
    }
    if (isWriting(event.target) || !single.checked) return;
    const action = { n: "newChat", "/": "write", "?": "keys", r: "again", c: "copy" }[key];
    if (action) { event.preventDefault(); actions[action](); }
  });
}
