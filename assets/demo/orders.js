// The buyer's orders: the list, one in detail, and what can be done with it.

import { busy, exactly, h, icon, pause, price, until, when, yuan } from "./dom.js";
import { get, post } from "./net.js";
import { ask, complain, toast, withRetry } from "./layer.js";
import { inWords, masked } from "./address.js";
import { line, notice } from "./checkout.js";
import { chips, empty } from "./shop.js";
import { payAgain } from "./pay.js";

const TABS = [["", "全部"], ["unpaid", "待付款"], ["paid", "待发货"], ["shipped", "待收货"], ["closed", "已关闭"], ["refunded", "已退款"]];
const STATES = {
  unpaid: ["等待付款", "clock"],
  paid: ["已付款，等待发货", "box"],
  shipped: ["已发货", "box"],
  completed: ["交易完成", "check"],
  closed: ["交易关闭", "close"],
  refunded: ["已退款", "swap"],
};
const SHORT = { unpaid: "待付款", paid: "待发货", shipped: "待收货", completed: "已完成", closed: "已关闭", refunded: "已退款" };
const REASONS = { expired: "超时未付款", buyer: "你取消了订单", staff: "店家取消了订单", sold_out: "付款时已售罄" };

/** `#/orders` */
export async function orders(page) {
  page.title("我的订单");
  const list = h("div", { class: "orders" });
  const show = (state) => load(page, list, state).catch((error) => list.replaceChildren(page.failure(error, () => show(state))));
  page.show(chips("订单状态", TABS, "", show), list);
  await show("");
}

let asked = 0;
async function load(page, list, state) {
  const mine = ++asked;
  const first = await more(state, null);
  if (mine !== asked) return;
  if (first.items.length === 0) return list.replaceChildren(empty("这里还没有订单", h("a", { class: "plain-button", href: "#/" }, "去逛逛")));
  list.replaceChildren();
  append(page, list, state, first);
}

function more(state, cursor) {
  const query = new URLSearchParams({ limit: "10" });
  if (state) query.set("state", state);
  if (cursor) query.set("cursor", cursor);
  return get(`/orders?${query}`);
}

function append(page, list, state, { items, next_cursor: cursor }) {
  list.append(...items.map((order) => orderCard(page, order)));
  if (!cursor) return;
  const button = h("button", { type: "button", class: "plain-button wide" }, "看更早的");
  button.addEventListener("click", () => busy(button, async () => {
    const next = await more(state, cursor).catch(complain);
    if (next) { button.remove(); append(page, list, state, next); }
  }));
  list.append(button);
}

const stateWords = (order) => order.closing ? "正在关闭" : order.refund?.state === "open" ? "退款中" : SHORT[order.state] ?? order.state;

function orderCard(page, order) {
  const count = order.lines.reduce((sum, one) => sum + one.quantity, 0);
  const pay = h("button", { type: "button", class: "small-button" }, "去支付");
  pay.addEventListener("click", () => busy(pay, () => payAgain(page, order).catch(complain)));
  const open = order.state === "unpaid" && !order.closing;
  return h("article", { class: "panel order-card" },
    h("a", { href: `#/orders/${order.id}` },
      h("header", {}, h("span", {}, when(order.created_at)), h("span", { class: `state ${order.state}` }, stateWords(order))),
      order.lines.map(line)),
    h("footer", {}, h("span", {}, `共 ${count} 件`, price(order.pay_fen)), open ? pay : null));
}

/** `#/orders/ID`, with `?late` right after a payment that will come late. */
export async function order(page, id, late) {
  page.title("订单详情");
  const one = await get(`/orders/${id}?refresh=true`);
  draw(page, one, late);
  follow(page, one, late);
}

/** Looks again while the order may change by itself; ends with the page. */
async function follow(page, known, late) {
  let last = JSON.stringify(known);
  for (let round = 0; round < 120 && page.alive(); round += 1) {
    await pause(round < 20 ? 1500 : 5000);
    if (!page.alive() || document.hidden) continue;
    const one = await get(`/orders/${known.id}`).catch(() => null);
    if (!one || !page.alive() || JSON.stringify(one) === last) continue;
    last = JSON.stringify(one);
    draw(page, one, late);
  }
}

function draw(page, one, late) {
  const unpaid = one.state === "unpaid";
  page.show(
    headline(page, one),
    late !== undefined && unpaid ? notice("钱还在路上：现在取消订单，它会在关单之后才到——看它怎样自动退回来。") : null,
    refundPanel(one),
    shipping(one),
    parcels(one),
    h("section", { class: "panel lines" }, one.lines.map(line), sums(one)),
    facts(one));
  page.foot(unpaid && !one.closing ? actions(page, one) : one.state === "shipped" ? receipt(page, one) : null);
}

function headline(page, one) {
  const [words, picture] = one.closing ? ["正在关闭订单", "clock"] : STATES[one.state] ?? [one.state, "box"];
  const below = h("p", {});
  if (one.state === "unpaid" && !one.closing) countdown(page, one, below);
  else if (one.closing) below.textContent = "微信那边确认没有付款之后，货才放回架上。";
  else if (one.state === "closed") below.textContent = REASONS[one.close_reason] ?? "";
  else if (one.state === "paid") below.textContent = `${when(one.paid_at)} 付款，金额和签名都核对过了`;
  return h("section", { class: `headline-state ${one.closing ? "closing" : one.state}` }, h("div", {}, h("h2", {}, words), below), icon(picture));
}

function countdown(page, one, node) {
  const tick = () => {
    const left = until(one.expires_at);
    node.textContent = left ? `还剩 ${left}，过时自动关闭` : "已过付款时间，正在关闭";
    if (left && page.alive() && (node.isConnected || !tick.begun)) setTimeout(tick, 1000);
    tick.begun = true;
  };
  tick();
}

function refundPanel(one) {
  const { state, refunded_fen: fen } = one.refund ?? { state: "none" };
  if (!state || state === "none") return null;
  const words = { open: "退款处理中", part: `已退回 ¥${yuan(fen)}`, full: `已全额退回 ¥${yuan(fen)}` }[state] ?? state;
  return h("p", { class: "notice good" }, icon("swap"), words, h("small", {}, "原路退回零钱"));
}

function shipping(one) {
  const a = one.address;
  return a ? h("section", { class: "panel address-panel still" }, icon("pin"),
    h("span", { class: "address-words" }, h("strong", {}, `${a.name} ${masked(a.phone)}`), h("span", {}, inWords(a)))) : null;
}

function parcels(one) {
  if (!one.shipments?.length) return null;
  const row = (parcel) => h("div", {}, h("dt", {}, parcel.company), h("dd", {}, parcel.number, h("small", {}, ` ${when(parcel.shipped_at)} 发出`)));
  return h("section", { class: "panel facts" }, h("dl", {}, one.shipments.map(row)));
}

function sums(one) {
  const rows = [["商品金额", one.goods_fen], ["运费", one.freight_fen], ["优惠", -one.discount_fen], ["改价", one.adjust_fen ?? 0]];
  return h("div", { class: "sums" },
    rows.filter(([name, fen]) => fen !== 0 || name === "商品金额").map(([name, fen]) => h("div", {}, h("span", {}, name), h("span", {}, `¥${yuan(fen)}`))),
    h("div", { class: "total" }, h("span", {}, one.state === "unpaid" ? "应付" : "合计"), price(one.pay_fen)));
}

function facts(one) {
  const rows = [
    ["订单编号", one.order_no], ["下单时间", exactly(one.created_at)], ["付款时间", exactly(one.paid_at)],
    ["微信单号", one.transaction_id], ["发货时间", exactly(one.shipped_at)], ["收货时间", exactly(one.completed_at)], ["关闭时间", exactly(one.closed_at)], ["留言", one.remark],
  ];
  const copy = async () => {
    try { await navigator.clipboard.writeText(one.order_no); toast("订单编号已复制"); } catch { toast("复制不了，请长按选择"); }
  };
  return h("section", { class: "panel facts" }, h("dl", {}, rows.filter(([, value]) => value).map(([name, value]) => [
    h("dt", {}, name),
    h("dd", {}, value, name === "订单编号" ? h("button", { type: "button", "aria-label": "复制订单编号", onclick: copy }, icon("copy")) : null)])));
}

function actions(page, one) {
  const pay = h("button", { type: "button", class: "main-button" }, "去支付");
  pay.addEventListener("click", () => busy(pay, () => payAgain(page, one).catch(complain)));
  const cancel = h("button", { type: "button", class: "plain-button" }, "取消订单");
  cancel.addEventListener("click", () => busy(cancel, async () => {
    if (!(await ask({ title: "取消这个订单？", text: "占着的货会马上放回架上。", yes: "取消订单", no: "再想想", danger: true }))) return;
    try {
      const done = await withRetry(() => post(`/orders/${one.id}/cancel`));
      toast(done.state === "closed" ? "订单已关闭" : done.closing ? "正在关闭" : "这一单已经付款了");
      draw(page, done);
    } catch (error) { complain(error); }
  }));
  return h("div", { class: "pay-bar" }, cancel, pay);
}

function receipt(page, one) {
  const button = h("button", { type: "button", class: "main-button" }, "确认收货");
  button.addEventListener("click", () => busy(button, async () => {
    try { draw(page, await withRetry(() => post(`/orders/${one.id}/receipt`))); } catch (error) { complain(error); }
  }));
  return h("div", { class: "pay-bar" }, h("span", {}), button);
}
