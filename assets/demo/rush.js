// Thirty buyers at once for the goods with the fewest pieces: who gets one, who is told "sold out".

import { h, icon, picture } from "./dom.js";
import { callAs, get, logIn, newKey } from "./net.js";
import { complain, sheet } from "./layer.js";
import { someAddress } from "./address.js";

const CROWD = 30;

/** Opens the experiment. */
export async function rush(page) {
  const found = await scarcest().catch((error) => { complain(error); return null; });
  if (!found) return;
  await sheet("抢购实验", (close) => {
    const { goods, sku } = found;
    const dots = Array.from({ length: CROWD }, (_, index) => h("i", { title: `第 ${index + 1} 位` }));
    const words = h("p", { class: "rush-words", role: "status" }, sku.stock > 0 ? `${CROWD} 位买家同时下单，架上只有 ${sku.stock} 件。` : "已经卖完了：每个人都应当听到“售罄”。");
    const start = h("button", { type: "button", class: "main-button wide" }, icon("bolt"), "开抢");
    start.addEventListener("click", async () => {
      start.disabled = true;
      await run(sku, dots, words).catch((error) => { words.textContent = error.message; });
      start.replaceChildren("看看库存");
      start.disabled = false;
      start.onclick = () => { close(); page.go(`#/goods/${goods.id}`); };
    }, { once: true });
    return h("div", { class: "rush" },
      h("div", { class: "sku-head" }, picture(goods.images[0], ""), h("div", {}, h("strong", {}, goods.name), h("p", { class: "chosen" }, sku.attr || sku.code), h("p", { class: "stock low" }, `库存 ${sku.stock} 件`))),
      h("div", { class: "crowd", "aria-hidden": "true" }, dots), words, start);
  });
}

/** The SKU with the fewest pieces, one that is not sold out if there is any. */
async function scarcest() {
  const { items } = await get("/goods?limit=40");
  const all = await Promise.all(items.map((item) => get(`/goods/${item.id}`)));
  const skus = all.filter((goods) => goods.status === "on_sale" && goods.deduct_stock === "order").flatMap((goods) => goods.skus.map((sku) => ({ goods, sku })));
  const byStock = (a, b) => a.sku.stock - b.sku.stock;
  return skus.filter(({ sku }) => sku.stock > 0).sort(byStock)[0] ?? skus.sort(byStock)[0] ?? null;
}

async function run(sku, dots, words) {
  words.textContent = "大家正在进店…";
  const crowd = await Promise.all(dots.map((dot, index) => enter(index).then((buyer) => { dot.className = "in"; return buyer; })));
  words.textContent = "开抢！";
  const count = { got: 0, gone: 0, other: 0 };
  await Promise.all(crowd.map(async ({ token, address }, index) => {
    const body = { items: [{ sku_id: sku.id, quantity: 1 }], address_id: address, prepay: false };
    const fate = await callAs(token, "POST", "/orders", body, newKey()).then(() => "got", (error) => (error.code === "sold_out" ? "gone" : "other"));
    count[fate] += 1;
    dots[index].className = fate;
  }));
  words.textContent = `${count.got} 人抢到，${count.gone} 人听到“售罄”` + (count.other ? `，${count.other} 人没等到回答` : "，一件也没有多卖。");
}

/** A buyer of the crowd with a session and an address. */
async function enter(index) {
  const token = await logIn(`crowd-${index + 1}`);
  const found = await callAs(token, "GET", "/addresses");
  const [known] = Array.isArray(found) ? found : found.items;
  const address = known ?? (await callAs(token, "POST", "/addresses", someAddress(index)));
  return { token, address: address.id };
}
