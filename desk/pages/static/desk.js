// Keys, dialogs and live hints. The page works without any of it: every key is a button, every hint a reload.
"use strict";

const typing = (element) => element.closest("input:not([type=radio]):not([type=checkbox]), textarea, select") !== null;

const within = () => document.querySelector("dialog[open]") ?? document;

// What the visitor typed or chose and has not sent.
const dirty = () =>
  [...document.querySelectorAll("main form")].some((form) =>
    [...form.elements].some(
      (field) =>
        (field.matches("input[type=radio], input[type=checkbox]") && field.checked !== field.defaultChecked) ||
        (field.matches("input:not([type=radio]):not([type=checkbox]), textarea") && field.value !== field.defaultValue),
    ),
  );

const openDialog = (id) => {
  const dialog = document.getElementById(id);
  if (!dialog || dialog.open) return;
  if (id === "help") listKeys();
  dialog.showModal();
};

// The next case opens under the same key: none that decides acts before a person can have seen what it decides.
const SEEN_MS = 1000;
const see = () => {
  delete document.body.dataset.read;
  setTimeout(() => (document.body.dataset.read = ""), SEEN_MS);
};
document.addEventListener("DOMContentLoaded", see);
window.addEventListener("pageshow", (event) => event.persisted && see());

const listKeys = () => {
  const list = document.getElementById("keys");
  list.replaceChildren(
    ...[...document.querySelectorAll("[data-key][data-says], [data-go][data-says]")].flatMap((element) => {
      const key = document.createElement("dt");
      const kbd = document.createElement("kbd");
      kbd.textContent = element.dataset.go ? `g ${element.dataset.go}` : element.dataset.key;
      key.append(kbd);
      const says = document.createElement("dd");
      says.textContent = element.dataset.says;
      return [key, says];
    }),
  );
};

const moveInList = (step) => {
  const items = [...document.querySelectorAll("[data-item]")];
  if (!items.length) return false;
  const at = items.indexOf(itemInHand());
  const next = at < 0 ? (step > 0 ? 0 : items.length - 1) : Math.min(items.length - 1, Math.max(0, at + step));
  items[next].focus();
  return true;
};

// The link of the row that has the focus, wherever in the row it is.
const itemInHand = () => {
  const focused = document.activeElement;
  return focused?.matches("[data-item]") ? focused : focused?.closest("tr, li")?.querySelector("[data-item]");
};

// In a list: x chooses the row, e and r open its case at that dialog. Nothing is decided from a list.
const actInList = (key) => {
  const item = itemInHand();
  if (!item || !document.querySelector("[data-list]")) return false;
  if (key === "x") item.closest("tr").querySelector("[data-pick]")?.click();
  else if (key === "e") location.href = `${item.href}#edit`;
  else if (key === "r") location.href = `${item.href}#reject`;
  else return false;
  return true;
};

// g and a letter go to a page: g q to the queue.
let going = 0;
const go = (key) => {
  const asked = Date.now() - going < 1500;
  going = key === "g" && !asked ? Date.now() : 0;
  if (!asked) return key === "g";
  const link = document.querySelector(`[data-go="${CSS.escape(key)}"]`);
  link?.click();
  return link !== null;
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat) return;
  if (typing(event.target)) return;
  if (within() === document && (go(event.key) || actInList(event.key))) {
    event.preventDefault();
    return;
  }
  if (within() === document && (event.key === "j" || event.key === "k") && moveInList(event.key === "j" ? 1 : -1)) {
    event.preventDefault();
    return;
  }
  const wanted = [...within().querySelectorAll("[data-key]")].find(
    (element) => element.dataset.key === event.key && (within() !== document || !element.closest("dialog")),
  );
  if (!wanted || wanted.disabled) return;
  event.preventDefault();
  if (wanted.matches("[data-decides]") && document.body.dataset.read === undefined) return;
  if (typing(wanted)) wanted.focus();
  else wanted.click();
});

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener) {
    fill(opener);
    openDialog(opener.dataset.opens);
  }
  if (event.target.closest("[data-closes]")) event.target.closest("dialog").close();
  if (event.target.closest("[data-all]")) {
    const picks = [...event.target.closest("form").querySelectorAll("input[name=pick]")];
    const chosen = picks.every((pick) => pick.checked);
    for (const pick of picks) pick.checked = !chosen;
  }
});

// The address of a case may name the dialog that somebody came for.
document.addEventListener("DOMContentLoaded", () => {
  const named = location.hash.slice(1);
  if (["edit", "reject", "take", "ask"].includes(named)) openDialog(named);
});

// No connection: what stands here may be old.
const offline = () => {
  const line = document.getElementById("offline");
  if (!line) return;
  line.hidden = navigator.onLine;
  line.textContent = navigator.onLine ? "" : document.body.dataset.offline;
};
window.addEventListener("offline", offline);
window.addEventListener("online", offline);

// A prefilled text follows the choice until somebody writes in it.
const fill = (choice) => {
  const { fills, text } = choice.dataset;
  const field = fills && document.getElementById(fills);
  if (!field) return;
  const ours = [...document.querySelectorAll(`[data-fills="${fills}"]`)].some((other) => other.dataset.text === field.value);
  if (field.value === "" || ours) field.value = text;
};
document.addEventListener("change", (event) => fill(event.target));

// One decision a press: a form that is on its way is not sent again until it is answered.
const sending = new WeakSet();
document.addEventListener("htmx:before:request", (event) => {
  const form = event.target.closest?.("form");
  if (!form || form.method !== "post") return;
  if (sending.has(form)) event.preventDefault();
  else sending.add(form);
});
document.addEventListener("htmx:after:request", (event) => {
  const form = event.target.closest?.("form");
  if (form) setTimeout(() => sending.delete(form), 300);
});

// A refusal that came while a dialog is open is read in the dialog, beside what was typed.
document.addEventListener("htmx:after:swap", () => {
  const said = document.querySelector("#said > .said");
  const dialog = document.querySelector("dialog[open] article");
  if (said && dialog) {
    dialog.querySelector(":scope > .said")?.remove();
    dialog.prepend(said);
  }
  if (document.querySelector("[data-stale]") && !dirty() && !document.querySelector("dialog[open]")) location.reload();
});

// A countdown; some seconds after its end the page of a held case is opened anew, and the line at the top asks.
setInterval(() => {
  for (const left of document.querySelectorAll("[data-seconds]")) {
    left.dataset.ends ??= String(Date.now() + 1000 * Number(left.dataset.seconds));
    const seconds = Math.max(0, Math.ceil((Number(left.dataset.ends) - Date.now()) / 1000));
    if (left.textContent === String(seconds)) continue;
    left.textContent = String(seconds);
    if (seconds > 0) continue;
    if (left.closest("[data-held]") && !dirty()) setTimeout(() => location.reload(), 2000);
    else setTimeout(() => document.body.dispatchEvent(new CustomEvent("moved")), 2000);
  }
}, 250);

// Live: a hint says that something moved; the parts of the page that care ask again.
const watch = () => {
  const address = document.body.dataset.live;
  if (!address) return;
  const lamp = document.getElementById("live");
  const moved = () => document.body.dispatchEvent(new CustomEvent("moved"));
  const source = new EventSource(address);
  source.addEventListener("moved", moved);
  source.addEventListener("open", () => lamp?.setAttribute("data-on", ""));
  source.addEventListener("full", () => source.close());
  source.addEventListener("error", () => lamp?.removeAttribute("data-on"));
  window.addEventListener("pagehide", () => source.close());
};
document.addEventListener("DOMContentLoaded", watch);
