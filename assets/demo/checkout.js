// The quote and the order: what it costs, where it goes, and sending it exactly once.

import { busy, h, icon, picture, price, yuan } from "./dom.js";
import { call, newKey, post } from "./net.js";
import { ask, complain, withRetry } from "./layer.js";
import { addresses, chooseAddress, inWords, masked } from "./address.js";
import { settle } from "./pay.js";

/** `#/checkout/SKU/QUANTITY` */
export async function checkout(page, sku, quantity) {
  page.title("确认订单");
  const cart = [{ sku_id: Number(sku), quantity: Number(quantity) }];
  const all = await addresses();
  const form = { items: cart, address: all.find((one) => one.is_default) ?? all[0] ?? null, quote: null, sent: null };
  form.remark = h("input", { placeholder: "给店家留句话（选填）", maxlength: 60, "aria-label": "留言" });
  await requote(page, form);
}

async function requote(page, form) {
  const body = { items: form.items };
  if (form.address) body.address_id = form.address.id;
  form.quote = await post("/checkout", body);
  draw(page, form);
}

function draw(page, form) {
  const { quote } = form;
  const problems = quote.problems ?? [];
  const send = h("button", { type: "button", class: "main-button" }, "提交订单");
  send.disabled = problems.length > 0 || quote.deliverable === false;
  send.addEventListener("click", () => busy(send, () => submit(page, form)));
  page.show(
    addressPanel(page, form),
    quote.deliverable === false && form.address ? notice("这个地址送不到，请换一个") : null,
    problems.map((problem) => notice(problem.message)),
    h("section", { class: "panel lines" }, quote.lines.map(line)),
    h("section", { class: "panel rows" },
      h("label", { class: "row" }, h("span", {}, "留言"), form.remark),
      money("商品金额", quote.goods_fen), money("运费", quote.freight_fen, "包邮"),
      quote.discount_fen > 0 ? money("优惠", -quote.discount_fen) : null),
    h("p", { class: "fine" }, "提交时带上幂等键：网断了再点一次，也只会有一单。"));
  page.foot(h("div", { class: "pay-bar" }, h("span", {}, "合计", price(quote.pay_fen, "large")), send));
}

export const notice = (text) => h("p", { class: "notice", role: "alert" }, icon("warn"), text);

function money(name, fen, none = null) {
  return h("div", { class: "row" }, h("span", {}, name), h("span", { class: "num" }, fen === 0 && none ? none : `¥${yuan(fen)}`));
}

/** A line of a quote or an order. */
export function line(one) {
  return h("div", { class: "line" },
    picture(one.image_url, ""),
    h("div", { class: "line-what" }, h("strong", {}, one.goods_name ?? one.name ?? ""), one.attr ? h("span", {}, one.attr) : null),
    h("div", { class: "line-cost" }, price(one.price_fen), h("span", {}, `×${one.quantity}`)));
}

function addressPanel(page, form) {
  const change = async () => {
    const chosen = await chooseAddress(form.address?.id);
    if (!chosen) return;
    form.address = chosen;
    await requote(page, form).catch(complain);
  };
  const a = form.address;
  return h("button", { type: "button", class: "panel address-panel", onclick: change }, icon("pin"),
    a ? h("span", { class: "address-words" }, h("strong", {}, `${a.name} ${masked(a.phone)}`), h("span", {}, inWords(a)))
      : h("span", { class: "address-words" }, h("strong", {}, "选择收货地址"), h("span", {}, "像 wx.chooseAddress 那样填一个")),
    icon("next"));
}

/** The request, and the key that it keeps until it is a different request. */
function orderRequest(form) {
  const body = { items: form.items, address_id: form.address.id, expect_pay_fen: form.quote.pay_fen };
  const remark = form.remark.value.trim();
  if (remark) body.remark = remark;
  const text = JSON.stringify(body);
  if (form.sent?.text !== text) form.sent = { text, key: newKey() };
  return { body, key: form.sent.key };
}

async function submit(page, form) {
  if (!form.address) {
    form.address = (await chooseAddress()) ?? null;
    return form.address ? requote(page, form).catch(complain) : undefined;
  }
  const { body, key } = orderRequest(form);
  try {
    const { data } = await withRetry(() => call("POST", "/orders", body, { key }));
    await settle(page, data.order, data.payment, data.payment_error);
  } catch (error) {
    await refused(page, form, error);
  }
}

const TITLES = { sold_out: "被人抢先了", price_changed: "价格变了", off_sale: "已经下架", limit_exceeded: "超过限购" };

/** A refusal: say it, and look again at what is true now. */
async function refused(page, form, error) {
  if (error.passing) return;
  await ask({ title: TITLES[error.code] ?? "没有下成单", text: error.message, yes: "知道了" });
  await requote(page, form).catch(complain);
}
