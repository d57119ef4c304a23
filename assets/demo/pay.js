// WeChat's pay sheet and its question for consent, played; and what follows a payment.

import { busy, h, icon, pause, price, yuan } from "./dom.js";
import { APPID, get, post, remembered, sandbox, session } from "./net.js";
import { complain, open, toast, withRetry } from "./layer.js";

const WAYS = [
  ["twice", "twice", "付两次", "同一单收到两笔钱：第二笔自动原路退回"],
  ["late", "late", "迟到的付款", "钱在关单之后才到：自动全额退回"],
];
export const TITLES = {
  order_paid: "付款成功通知",
  order_refunded: "退款通知",
};

/** Brings a fresh order to its payment, or says why there is none yet. */
export async function settle(page, order, payment, problem) {
  if (order.state !== "unpaid") return page.go(`#/paid/${order.id}`, true);
  if (payment) return payOrder(page, order, payment);
  toast(problem?.message ?? "订单已生成，请在订单里付款");
  page.go(`#/orders/${order.id}`, true);
}

/** "去支付" of an unpaid order. */
export async function payAgain(page, order) {
  const payment = await withRetry(() => post(`/orders/${order.id}/payment`));
  await payOrder(page, order, payment);
}

async function payOrder(page, order, payment) {
  await askConsent();
  const action = (await open("sheet", "微信支付", (close) => paySheet(order, close))) ?? "cancel";
  const done = await sandbox("POST", "/sandbox/pay", { appid: APPID, ...payment, action })
    .catch((error) => { complain(error); return { result: "failed" }; });
  if (action === "cancel" || done.result === "failed" || done.result === "cancel") {
    toast(action === "cancel" ? "已取消支付，订单先替你留着" : "支付没有成功");
    return page.go(`#/orders/${order.id}`, true);
  }
  page.go(action === "late" ? `#/orders/${order.id}?late` : `#/paid/${order.id}`, true);
}

function paySheet(order, close) {
  const pay = h("button", { type: "button", class: "pay-button", autofocus: true }, "确认支付");
  const dots = h("div", { class: "pin", "aria-hidden": "true" }, Array.from({ length: 6 }, () => h("i")));
  pay.addEventListener("click", () => busy(pay, async () => {
    dots.classList.add("typing");
    await pause(620);
    close("pay");
  }));
  return h("div", { class: "pay-sheet" },
    h("header", {}, h("button", { type: "button", class: "cross", "aria-label": "放弃支付", onclick: () => close("cancel") }, icon("close")), h("span", {}, "微信支付 · 模拟")),
    h("p", { class: "payee" }, "买它小店"),
    h("p", { class: "amount" }, price(order.pay_fen, "huge")),
    h("div", { class: "row" }, h("span", {}, "付款方式"), h("span", {}, h("i", { class: "coin" }, "零"), "零钱（模拟）")),
    dots, pay,
    h("button", { type: "button", class: "plain-button", onclick: () => close("cancel") }, "放弃支付"),
    h("div", { class: "ways" }, h("p", {}, "也可以看看出岔子的时候"),
      WAYS.map(([action, picture, name, words]) => h("button", { type: "button", class: "way", onclick: () => close(action) },
        icon(picture), h("span", {}, h("strong", {}, name), h("small", {}, words)), icon("next")))));
}

const alwaysKey = () => `buynow:always:${session.buyer.id}`;

/** wx.requestSubscribeMessage: at most three templates, asked at the tap that leads to the payment. */
export async function askConsent() {
  const { items } = await get("/message-templates").catch(() => ({ items: [] }));
  const asked = items.slice(0, 3);
  if (asked.length === 0) return;
  const always = remembered.get(alwaysKey());
  const wanted = always ? asked.map((item) => item.template_id) : await open("sheet", "订阅消息", (close) => consent(asked, close), { dismissable: false });
  if (!wanted?.length) return;
  try {
    const { accepted } = await sandbox("POST", "/sandbox/subscribe", { appid: APPID, buyer: session.buyer.id, template_ids: wanted });
    if (accepted.length) await post("/message-grants", { template_ids: accepted });
  } catch (error) { complain(error); }
}

function consent(items, close) {
  const boxes = items.map(({ template_id: id, event }) => {
    const box = h("input", { type: "checkbox", value: id });
    box.checked = true;
    return { box, row: h("label", { class: "consent-row" }, box, h("span", {}, TITLES[event] ?? event)) };
  });
  const always = h("input", { type: "checkbox" });
  const allow = () => {
    const ids = boxes.filter(({ box }) => box.checked).map(({ box }) => box.value);
    if (always.checked) remembered.set(alwaysKey(), "1");
    close(ids);
  };
  return h("div", { class: "consent" },
    h("header", {}, h("span", { class: "app-icon" }, icon("shop")), h("strong", {}, "买它小店"), h("span", {}, "申请")),
    h("h2", {}, "发送一次以下消息"),
    h("div", { class: "consent-list" }, boxes.map(({ row }) => row)),
    h("label", { class: "always" }, always, "总是保持以上选择，不再询问"),
    h("div", { class: "two-buttons" },
      h("button", { type: "button", class: "plain-button", onclick: () => close([]) }, "取消"),
      h("button", { type: "button", class: "pay-button", onclick: allow, autofocus: true }, "允许")));
}

/** `#/paid/ID`: waits a moment for the shop to have heard of the payment. */
export async function paid(page, id) {
  page.title("支付结果");
  const mark = h("div", { class: "paid-mark waiting" }, icon("check"));
  const words = h("h2", {}, "正在确认付款…");
  const sum = h("p", { class: "amount" });
  page.show(h("section", { class: "paid-page" }, mark, words, sum,
    h("p", { class: "fine" }, "店家收到微信签名的通知并核对金额后，才算付款成功。"),
    h("div", { class: "two-buttons" },
      h("a", { class: "plain-button", href: "#/" }, "再逛逛"),
      h("a", { class: "main-button", href: `#/orders/${id}` }, "查看订单"))));
  for (let round = 0; round < 8 && page.alive(); round += 1) {
    const order = await get(`/orders/${id}${round > 4 ? "?refresh=true" : ""}`).catch(() => null);
    if (order) sum.replaceChildren(price(order.pay_fen, "huge"));
    if (order && order.state !== "unpaid") return outcome(order, mark, words);
    await pause(250 + 250 * round);
  }
  words.textContent = "微信还没告诉店家";
  mark.classList.replace("waiting", "unsure");
}

function outcome(order, mark, words) {
  const fine = order.state !== "closed";
  mark.classList.replace("waiting", fine ? "done" : "unsure");
  words.textContent = fine ? "支付成功" : `没有买成，¥${yuan(order.pay_fen)} 会原路退回`;
}
