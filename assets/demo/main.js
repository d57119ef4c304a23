// Start, and which page is shown. A page is a function of (page, ...parts of the address).

import { h, icon } from "./dom.js";
import { complain, dismissAll } from "./layer.js";
import { detail, home } from "./shop.js";
import { checkout } from "./checkout.js";
import { order, orders } from "./orders.js";
import { paid } from "./pay.js";
import { listen, messages, onInbox } from "./messages.js";
import { applyTheme, me, moreMenu } from "./me.js";
import { besidePhone } from "./wire.js";

const TABS = [["#/", "shop", "商店"], ["#/messages", "mail", "消息"], ["#/orders", "list", "订单"], ["#/me", "me", "我的"]];
const ROUTES = [
  [/^#\/?$/, home],
  [/^#\/goods\/(\d+)$/, detail],
  [/^#\/checkout\/(\d+)\/(\d+)$/, checkout],
  [/^#\/orders$/, orders],
  [/^#\/orders\/(\d+)(?:\?(late))?$/, order],
  [/^#\/paid\/(\d+)$/, paid],
  [/^#\/messages$/, messages],
  [/^#\/me$/, me],
];

const at = (id) => document.getElementById(id);
let turn = 0;

/** What a page may do; `alive` turns false once another page is shown. */
function pageFor(mine) {
  const alive = () => mine === turn;
  return {
    alive,
    title: (text) => { if (alive()) at("title").textContent = text; },
    show: (...nodes) => { if (alive()) fill(at("view"), nodes); },
    foot: (node) => { if (alive()) foot(node); },
    failure,
    go: (hash, instead = false) => (instead ? replace(hash) : location.hash === hash ? render() : void (location.hash = hash)),
    reload: render,
  };
}

const fill = (view, nodes) => view.replaceChildren(...nodes.flat(Infinity).filter(Boolean));

function replace(hash) {
  history.replaceState(null, "", hash);
  render();
}

function foot(node) {
  at("screen").querySelector(".foot")?.remove();
  at("screen").classList.toggle("with-foot", Boolean(node));
  if (node) at("view").after(h("div", { class: "foot" }, node));
}

function failure(error, again) {
  const gone = error.code === "not_found";
  return h("div", { class: "empty", role: "alert" }, icon("warn"), h("p", {}, gone ? "这里什么也没有" : error.message),
    gone ? h("a", { class: "plain-button", href: "#/" }, "回首页") : h("button", { type: "button", class: "plain-button", onclick: again }, "再试一次"));
}

async function render() {
  const mine = ++turn;
  const hash = location.hash || "#/";
  const [route, show] = ROUTES.find(([pattern]) => pattern.test(hash)) ?? [/^/, home];
  const page = pageFor(mine);
  const tab = TABS.some(([target]) => target === hash);
  at("back").hidden = tab;
  at("screen").classList.toggle("with-tabs", tab);
  at("tabbar").querySelectorAll("a").forEach((link) => (link.getAttribute("href") === hash ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current")));
  foot(null);
  page.show(h("div", { class: "loading", role: "status", "aria-label": "载入中" }));
  at("view").scrollTop = 0;
  try {
    await show(page, ...route.exec(hash).slice(1));
  } catch (error) {
    if (!page.alive()) return;
    console.error(error);
    page.show(failure(error, render));
  }
}

function tabbar() {
  const badge = h("span", { class: "badge", hidden: true });
  at("tabbar").append(...TABS.map(([href, picture, name]) => h("a", { href }, icon(picture), h("span", {}, name), picture === "mail" ? badge : null)));
  onInbox((unread) => {
    badge.hidden = unread === 0;
    badge.textContent = String(Math.min(unread, 99));
    badge.setAttribute("aria-label", `${unread} 条未读`);
  });
}

function back() {
  if (history.length > 1) history.back();
  else location.hash = "#/";
}

function frame() {
  at("back").append(icon("back"));
  at("back").addEventListener("click", back);
  at("more").append(h("i"), h("i"), h("i"));
  at("more").addEventListener("click", () => moreMenu(pageFor(turn)));
  at("home").append(h("i"));
  at("home").addEventListener("click", () => { location.hash = "#/"; });
  const clock = () => { at("clock").textContent = new Date().toTimeString().slice(0, 5).replace(/^0/, ""); };
  clock();
  setInterval(clock, 10_000);
}

applyTheme();
frame();
tabbar();
besidePhone({ go: (hash) => pageFor(turn).go(hash) });
addEventListener("hashchange", () => { dismissAll(); render(); });
addEventListener("unhandledrejection", (event) => complain(event.reason));
listen();
render();
