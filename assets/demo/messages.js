// What WeChat brings to the buyer's phone: the banner as it arrives, and the list to read later.

import { h, icon, when } from "./dom.js";
import { messageStream, pastMessages, session, tell } from "./net.js";
import { empty } from "./shop.js";

const inbox = { all: new Map(), unread: 0, stop: null, changed: new Set() };

/** Hears when the inbox changes; given the count of unread messages. */
export const onInbox = (listener) => inbox.changed.add(listener);
const changed = () => inbox.changed.forEach((listener) => listener(inbox.unread));

/** Listens to the present buyer's phone, and to no other. */
export async function listen() {
  inbox.stop?.();
  inbox.all.clear();
  inbox.unread = 0;
  changed();
  const buyer = session.buyer.id;
  const past = await pastMessages().catch(() => []);
  if (buyer !== session.buyer.id) return;
  for (const message of past) inbox.all.set(message.id, message);
  // The stream begins with the past as well: what is known by then is no news.
  inbox.stop?.();
  inbox.stop = messageStream((message) => arrived(message));
  changed();
}

function arrived(message) {
  if (inbox.all.has(message.id)) return;
  inbox.all.set(message.id, message);
  inbox.unread += 1;
  tell({ side: "phone", method: "消息", path: message.title, status: 0, got: message });
  banner(message);
  changed();
}

/** Where a message's page leads in this shop: the order that it names. */
function target(message) {
  const id = /[?&](?:id|order_id)=(\d+)/.exec(message.page ?? "")?.[1];
  return id ? `#/orders/${id}` : "#/messages";
}

function banner(message) {
  const box = document.getElementById("banners");
  const [first, second] = message.lines ?? [];
  const words = (one) => (one ? h("span", {}, `${one.label}：${one.value}`) : null);
  const node = h("a", { class: "banner", href: target(message) },
    h("span", { class: "app-icon" }, icon("shop")),
    h("span", { class: "banner-words" },
      h("small", {}, "服务通知 · 买它小店", h("time", {}, "现在")),
      h("strong", {}, message.title), words(first), words(second)));
  const leave = () => { node.classList.remove("in"); setTimeout(() => node.remove(), 320); };
  node.addEventListener("click", leave);
  box.prepend(node);
  while (box.children.length > 3) box.lastChild.remove();
  requestAnimationFrame(() => node.classList.add("in"));
  setTimeout(leave, 6500);
  navigator.vibrate?.(30);
}

/** `#/messages` */
export async function messages(page) {
  page.title("服务通知");
  const draw = () => {
    const all = [...inbox.all.values()].sort((a, b) => String(b.sent_at).localeCompare(String(a.sent_at)));
    page.show(all.length ? h("div", { class: "inbox" }, all.map(bubble))
      : empty("还没有消息", h("p", { class: "hint" }, "买一件东西，付款后点“允许”，消息就会到这里。")));
    inbox.unread = 0;
  };
  draw();
  const redraw = () => {
    if (!page.alive()) return inbox.changed.delete(redraw);
    if (inbox.unread > 0 || !document.querySelector(".inbox")) { draw(); changed(); }
  };
  onInbox(redraw);
  changed();
}

function bubble(message) {
  const lines = message.lines ?? [];
  return h("article", { class: "bubble-row" },
    h("time", {}, when(message.sent_at)),
    h("a", { class: "bubble", href: target(message) },
      h("header", {}, h("span", { class: "app-icon" }, icon("shop")), h("span", {}, "买它小店"), h("small", {}, message.kind === "template" ? "模板消息" : "订阅消息")),
      h("h3", {}, message.title),
      h("dl", {}, lines.map(({ label, value }) => [h("dt", {}, label), h("dd", {}, value)])),
      h("footer", {}, "进入小程序查看", icon("next"))));
}
