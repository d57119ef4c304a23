// The buyer: who one is, which theme, and the rush of many buyers for few pieces.

import { h, icon } from "./dom.js";
import { APPID, BUYERS, becomeBuyer, get, remembered, session } from "./net.js";
import { open, toast } from "./layer.js";
import { chooseAddress } from "./address.js";
import { listen } from "./messages.js";
import { rush } from "./rush.js";

/** `#/me` */
export async function me(page) {
  page.title("我的");
  const who = await get("/me");
  const counts = who.order_counts ?? {};
  page.show(
    h("section", { class: "me-head", vars: { "--hue": session.buyer.hue } },
      h("span", { class: "avatar big", vars: { "--hue": session.buyer.hue } }, session.buyer.name[0]),
      h("div", {}, h("h2", {}, session.buyer.name), h("p", {}, `买家 ${who.id ?? who.user?.id ?? ""} · ${APPID}`))),
    h("section", { class: "panel counts" },
      [["unpaid", "待付款", "clock"], ["paid", "待发货", "box"], ["shipped", "待收货", "swap"]].map(([key, name, picture]) =>
        h("a", { href: "#/orders" }, icon(picture), h("b", {}, String(counts[key] ?? 0)), h("span", {}, name)))),
    buyers(page),
    h("section", { class: "panel menu" },
      item("pin", "收货地址", "", () => chooseAddress()),
      item("bolt", "抢购实验", "30 人抢最少的那件", () => rush(page)),
      item("theme", "深色 / 浅色", themeName(), (row) => { nextTheme(); row.querySelector("small").textContent = themeName(); }),
      h("a", { class: "menu-row", href: "/api/docs", target: "_blank", rel: "noopener" }, icon("code"), h("span", {}, "接口文档"), h("small", {}, "OpenAPI"), icon("next"))),
    h("p", { class: "fine" }, "微信是模拟的：登录、支付和消息都在本机，没有花一分钱。"));
}

function item(picture, name, words, act) {
  return h("button", { type: "button", class: "menu-row", onclick: (event) => act(event.currentTarget) }, icon(picture), h("span", {}, name), h("small", {}, words), icon("next"));
}

function buyers(page) {
  return h("section", { class: "panel" }, h("h3", {}, "换一个人来买"),
    h("div", { class: "buyers", role: "group", "aria-label": "买家" }, BUYERS.map((buyer) => h("button", {
      type: "button", "aria-pressed": String(buyer.id === session.buyer.id), onclick: () => { switchTo(buyer); page.go("#/me", true); },
    }, h("span", { class: "avatar", vars: { "--hue": buyer.hue } }, buyer.name[0]), buyer.name))));
}

function switchTo(buyer) {
  becomeBuyer(buyer.id);
  listen();
  toast(`现在是${buyer.name}`);
}

const THEMES = { auto: "跟随系统", light: "浅色", dark: "深色" };
const theme = () => (THEMES[remembered.get("buynow:theme")] ? remembered.get("buynow:theme") : "auto");
const themeName = () => THEMES[theme()];

export function applyTheme() {
  document.documentElement.dataset.theme = theme();
}

function nextTheme() {
  const names = Object.keys(THEMES);
  remembered.set("buynow:theme", names[(names.indexOf(theme()) + 1) % names.length]);
  applyTheme();
}

/** The capsule's three dots. */
export function moreMenu(page) {
  return open("sheet", "更多", (close) => {
    const row = (picture, name, act) => h("button", { type: "button", class: "menu-row", onclick: () => { close(); act(); } }, icon(picture), h("span", {}, name));
    return h("div", { class: "more-menu" },
      h("div", { class: "buyers" }, BUYERS.map((buyer) => h("button", { type: "button", "aria-pressed": String(buyer.id === session.buyer.id), onclick: () => { close(); switchTo(buyer); page.reload(); } },
        h("span", { class: "avatar", vars: { "--hue": buyer.hue } }, buyer.name[0]), buyer.name))),
      h("div", { class: "menu" }, row("bolt", "抢购实验", () => rush(page)), row("theme", "深色 / 浅色", () => { nextTheme(); toast(themeName()); })),
      h("button", { type: "button", class: "plain-button wide", onclick: () => close() }, "取消"));
  });
}
