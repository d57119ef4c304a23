// Beside the phone, where there is room: what to try, and every call as it happens.

import { h, icon } from "./dom.js";
import { onCall } from "./net.js";
import { rush } from "./rush.js";

const KEPT = 80;
const SIDES = { shop: "店", wechat: "微", phone: "机" };

const TRIALS = [
  ["shop", "买一件", "选规格、填地址、付款，点“允许”，等消息落到手机上。", (page) => page.go("#/")],
  ["twice", "付两次", "付款时选“付两次”：单子只认一笔，另一笔自动退回。", (page) => page.go("#/")],
  ["late", "迟到的钱", "选“迟到的付款”，再取消订单：钱在关单后才到，全额退回。", (page) => page.go("#/")],
  ["bolt", "三十人抢一件", "同时下单，有几件卖几件，其余的人听到“售罄”。", (page) => rush(page)],
];

/** Fills both sides of the stage. */
export function besidePhone(page) {
  document.getElementById("intro").append(
    h("p", { class: "brand" }, h("span", { class: "app-icon" }, icon("shop")), "buynow"),
    h("h2", {}, "下单，收钱，", h("br"), "一件也不多卖。"),
    h("p", { class: "lead" }, "左手是买家的手机，右手是它说的每一句话。店是真的，微信是模拟的。"),
    h("ul", { class: "trials" }, TRIALS.map(([picture, name, words, act]) => h("li", {},
      h("button", { type: "button", onclick: () => act(page) }, icon(picture), h("span", {}, h("strong", {}, name), h("small", {}, words)))))),
    h("p", { class: "links" }, h("a", { href: "/api/docs", target: "_blank", rel: "noopener" }, "接口文档"), h("a", { href: "/metrics", target: "_blank", rel: "noopener" }, "指标")));
  record();
}

function record() {
  const list = h("ol", { class: "calls" });
  const clear = h("button", { type: "button", onclick: () => list.replaceChildren() }, "清空");
  document.getElementById("wire").append(
    h("header", {}, h("h2", {}, "接口调用"), clear),
    h("p", { class: "legend" }, h("span", { class: "side side-shop" }, SIDES.shop), "商城接口", h("span", { class: "side side-wechat" }, SIDES.wechat), "模拟微信", h("span", { class: "side side-phone" }, SIDES.phone), "手机收到"),
    list);
  onCall((entry) => {
    list.prepend(row(entry));
    while (list.children.length > KEPT) list.lastChild.remove();
  });
}

function row({ side, method, path, status, ms, sent, got }) {
  const fine = side === "phone" || (status >= 200 && status < 300);
  const details = h("details", { class: fine ? "" : "bad" },
    h("summary", {},
      h("span", { class: `side side-${side}` }, SIDES[side]),
      h("b", {}, method), h("code", {}, path),
      side === "phone" ? null : h("span", { class: "status" }, status ? String(status) : "断"),
      ms === undefined ? null : h("span", { class: "ms" }, `${Math.round(ms)} ms`)));
  details.addEventListener("toggle", () => details.append(block("发出", sent), block("收到", got)), { once: true });
  return h("li", {}, details);
}

function block(name, value) {
  if (value === undefined || value === null) return "";
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return h("figure", {}, h("figcaption", {}, name), h("pre", {}, text.slice(0, 6000)));
}
