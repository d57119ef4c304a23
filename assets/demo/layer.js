// What lies over the page: sheets, dialogs, toasts. One at a time takes the keyboard.

import { h, icon } from "./dom.js";

const layers = () => document.getElementById("layers");
const under = () => ["view", "tabbar"].map((id) => document.getElementById(id)).concat(document.querySelector(".navbar"));
const stack = [];
const closers = new WeakMap();

/** Another page is shown: whatever lay over the former one was turned away. */
export function dismissAll() {
  [...stack].reverse().forEach((layer) => closers.get(layer)());
}

function inert() {
  under().forEach((node) => { node.inert = stack.length > 0; });
  stack.forEach((layer, index) => { layer.inert = index < stack.length - 1; });
}

/**
 * Opens a layer of kind "sheet" or "dialog". `build(close)` answers its content.
 * The promise is fulfilled with what `close` was given; undefined when it was dismissed.
 */
export function open(kind, label, build, { dismissable = true } = {}) {
  return new Promise((done) => {
    const before = document.activeElement;
    const close = (result) => {
      if (!stack.includes(layer)) return;
      stack.splice(stack.indexOf(layer), 1);
      layer.classList.remove("open");
      inert();
      setTimeout(() => layer.remove(), 240);
      if (before?.isConnected) before.focus({ preventScroll: true });
      done(result);
    };
    const panel = h("section", { class: kind, role: "dialog", "aria-modal": "true", "aria-label": label, tabindex: "-1" });
    const layer = h("div", { class: `layer layer-${kind}` },
      h("div", { class: "shade", onclick: () => dismissable && close() }), panel);
    layer.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && dismissable) { event.stopPropagation(); close(); }
      if (event.key === "Tab") turnAround(event, panel);
    });
    closers.set(layer, close);
    panel.append(build(close));
    document.getElementById("toast").classList.remove("shown");
    layers().append(layer);
    stack.push(layer);
    inert();
    requestAnimationFrame(() => {
      layer.classList.add("open");
      (panel.querySelector("[autofocus]") ?? panel).focus({ preventScroll: true });
    });
  });
}

/** Keeps the keyboard within the layer: after its last control comes the first. */
function turnAround(event, panel) {
  const all = [...panel.querySelectorAll("a[href], button:not(:disabled), input, select")];
  const [first, last] = [all[0], all[all.length - 1]];
  const [edge, other] = event.shiftKey ? [first, last] : [last, first];
  if (document.activeElement !== edge && panel.contains(document.activeElement)) return;
  event.preventDefault();
  other?.focus();
}

/** A sheet from below with a title and a cross. */
export function sheet(title, build) {
  return open("sheet", title, (close) => h("div", { class: "sheet-body" },
    h("header", { class: "sheet-head" },
      h("h2", {}, title),
      h("button", { class: "cross", type: "button", "aria-label": "关闭", onclick: () => close() }, icon("close"))),
    build(close)));
}

/** Asks; true for yes. Without `no` it only tells. */
export async function ask({ title, text, yes = "好", no = null, danger = false }) {
  const answer = await open("dialog", title, (close) => h("div", {},
    h("h2", {}, title),
    text ? h("p", {}, text) : null,
    h("div", { class: "dialog-buttons" },
      no ? h("button", { type: "button", onclick: () => close(false) }, no) : null,
      h("button", { type: "button", class: danger ? "danger" : "yes", autofocus: true, onclick: () => close(true) }, yes))));
  return answer === true;
}

let hiding = 0;
/** A word in passing. */
export function toast(text) {
  const node = document.getElementById("toast");
  node.textContent = text;
  node.classList.add("shown");
  clearTimeout(hiding);
  hiding = setTimeout(() => node.classList.remove("shown"), 2600);
}

/**
 * Does `work`; when it fails in passing the buyer may have it done again, exactly as it was.
 * Other problems are thrown on.
 */
export async function withRetry(work) {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!error.passing) throw error;
      const again = await ask({ title: "没有办成", text: `${error.message}。再试一次不会重复下单。`, yes: "重试", no: "算了" });
      if (!again) throw error;
    }
  }
}

/** Says a problem where nothing better is at hand. */
export function complain(error) {
  console.error(error);
  toast(error.message || "出了点问题");
}
