// The shop's front: list of goods, goods in detail, and the sheet where a SKU is chosen.

import { busy, h, icon, picture, price } from "./dom.js";
import { get, session } from "./net.js";
import { sheet, toast } from "./layer.js";

const SORTS = [["default", "综合"], ["sales", "销量"], ["price_asc", "价格低"], ["price_desc", "价格高"]];
const shown = { category: null, sort: "default", keyword: "" };

/** `#/` */
export async function home(page) {
  page.title("买它小店");
  const grid = h("div", { class: "grid" });
  const load = () => list(page, grid);
  page.show(hello(), searchBox(load), h("div", { class: "filters" }, await categories(load), sorts(load)), grid);
  await load();
}

function hello() {
  const hour = new Date().getHours();
  const greeting = hour < 5 ? "夜深了" : hour < 11 ? "早上好" : hour < 14 ? "中午好" : hour < 18 ? "下午好" : "晚上好";
  return h("div", { class: "hello" },
    h("div", {}, h("h2", {}, `${greeting}，${session.buyer.name}`), h("p", {}, "今天也有好东西，卖完就是卖完了。")),
    h("a", { class: "avatar", href: "#/me", "aria-label": "我的", vars: { "--hue": session.buyer.hue } }, session.buyer.name[0]));
}

function searchBox(load) {
  const field = h("input", { type: "search", placeholder: "搜一搜", "aria-label": "搜商品", value: shown.keyword, maxlength: 40, enterkeyhint: "search" });
  let waiting = 0;
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { shown.keyword = field.value.trim(); load(); }, 250);
  });
  return h("label", { class: "search" }, icon("search"), field);
}

async function categories(load) {
  const found = await get("/categories").catch(() => []);
  const items = [{ id: null, name: "全部" }, ...(Array.isArray(found) ? found : found?.items ?? [])];
  return chips("分类", items.map(({ id, name }) => [id, name]), shown.category, (id) => { shown.category = id; load(); });
}

function sorts(load) {
  const select = h("select", { "aria-label": "排序" }, SORTS.map(([value, name]) => h("option", { value }, name)));
  select.value = shown.sort;
  select.addEventListener("change", () => { shown.sort = select.value; load(); });
  return h("label", { class: "sort" }, select, icon("down"));
}

/** A row of choices of which one holds. */
export function chips(label, choices, chosen, choose) {
  const row = h("div", { class: "chips", role: "group", "aria-label": label });
  const buttons = choices.map(([id, name]) => h("button", { type: "button", class: "chip", "aria-pressed": String(id === chosen), onclick: (event) => {
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(button === event.currentTarget)));
    choose(id);
  } }, name));
  row.append(...buttons);
  return row;
}

let asked = 0;
async function list(page, grid) {
  const mine = ++asked;
  const query = new URLSearchParams({ sort: shown.sort, limit: "40" });
  if (shown.category != null) query.set("category_id", shown.category);
  if (shown.keyword) query.set("keyword", shown.keyword);
  if (!grid.firstChild) grid.replaceChildren(...Array.from({ length: 6 }, () => h("div", { class: "card ghost" })));
  try {
    const { items } = await get(`/goods?${query}`);
    if (mine === asked) grid.replaceChildren(...(items.length ? items.map(card) : [empty("没有找到这样的东西")]));
  } catch (error) {
    if (mine === asked) grid.replaceChildren(page.failure(error, () => list(page, grid)));
  }
}

export function empty(text, ...more) {
  return h("div", { class: "empty" }, icon("box"), h("p", {}, text), more);
}

function card(goods) {
  const from = goods.price_min_fen !== goods.price_max_fen;
  return h("a", { class: "card", href: `#/goods/${goods.id}` },
    picture(goods.image_url, ""),
    goods.sold_out ? h("span", { class: "gone" }, "已售罄") : null,
    h("span", { class: "card-name" }, goods.name),
    h("span", { class: "card-foot" },
      h("span", {}, price(goods.price_min_fen), from ? h("small", { class: "from" }, "起") : null),
      h("small", { class: "sold" }, goods.sales > 0 ? `已售 ${goods.sales}` : "新上架")));
}

/** `#/goods/ID` */
export async function detail(page, id) {
  page.title("");
  const goods = await get(`/goods/${id}`);
  page.title("商品详情");
  const open = goods.status === "on_sale";
  const stock = goods.skus.reduce((sum, sku) => sum + Math.max(0, sku.stock), 0);
  const buy = h("button", { type: "button", class: "main-button", disabled: !open || stock === 0 },
    !open ? "已下架" : stock === 0 ? "已售罄" : "立即购买");
  buy.addEventListener("click", () => busy(buy, async () => {
    const chosen = await chooseSku(goods);
    if (chosen) page.go(`#/checkout/${chosen.sku.id}/${chosen.quantity}`);
  }));
  page.show(
    gallery(goods),
    h("section", { class: "panel headline" },
      h("div", { class: "price-row" }, priceRange(goods.skus), linePrice(goods.skus), stockNote(stock)),
      h("h2", {}, goods.name),
      h("p", { class: "tags" },
        h("span", { class: "tag" }, goods.deduct_stock === "payment" ? "付款减库存" : "拍下减库存"),
        goods.limit_per_user ? h("span", { class: "tag" }, `每人限购 ${goods.limit_per_user} 件`) : null,
        h("span", { class: "tag" }, "付了必发"))),
    goods.content ? h("section", { class: "panel story" }, h("h3", {}, "关于它"), String(goods.content).split("\n").map((line) => h("p", {}, line))) : null,
    skuTable(goods));
  page.foot(h("div", { class: "buy-bar" },
    h("a", { class: "bar-icon", href: "#/" }, icon("shop"), "首页"),
    h("a", { class: "bar-icon", href: "#/orders" }, icon("list"), "订单"), buy));
}

function gallery(goods) {
  const pictures = (goods.images.length ? goods.images : [null]).map((url) => picture(url, goods.name));
  return h("div", { class: "gallery", tabindex: pictures.length > 1 ? "0" : null }, pictures);
}

function priceRange(skus) {
  const prices = skus.map((sku) => sku.price_fen);
  const [low, high] = [Math.min(...prices), Math.max(...prices)];
  return h("span", { class: "range" }, price(low, "large"), low === high ? null : [h("span", { class: "dash" }, "–"), price(high, "large")]);
}

function linePrice(skus) {
  const former = Math.max(0, ...skus.map((sku) => sku.line_price_fen ?? 0));
  return former > 0 ? h("s", { class: "former" }, `¥${(former / 100).toFixed(2)}`) : null;
}

function stockNote(stock) {
  const words = stock === 0 ? "已售罄" : stock <= 5 ? `仅剩 ${stock} 件` : `库存 ${stock}`;
  return h("span", { class: stock <= 5 ? "stock low" : "stock" }, words);
}

function skuTable(goods) {
  if (goods.skus.length < 2) return null;
  return h("section", { class: "panel" }, h("h3", {}, "规格与库存"),
    h("ul", { class: "sku-list" }, goods.skus.map((sku) => h("li", {},
      h("span", {}, sku.attr || sku.code), price(sku.price_fen), h("span", { class: sku.stock > 0 ? "left" : "left none" }, sku.stock > 0 ? `${sku.stock} 件` : "售罄")))));
}

/** Lets the buyer choose a SKU and a quantity; undefined when they turned away. */
function chooseSku(goods) {
  return sheet("选择规格", (close) => {
    const groups = specGroups(goods);
    const chosen = new Map();
    const head = h("div", { class: "sku-head" });
    const body = h("div", { class: "specs" });
    const step = stepper();
    const done = h("button", { type: "button", class: "main-button wide" }, "去结算");
    const current = () => goods.skus.find((sku) => groups.every((group) => chosen.get(group.id) === group.of(sku)));
    const draw = () => {
      const sku = current();
      head.replaceChildren(...skuHead(goods, sku, groups, chosen));
      body.querySelectorAll("button[data-group]").forEach((button) => mark(button, goods, groups, chosen));
      const most = sku ? Math.min(sku.stock, goods.limit_per_user ?? Infinity) : 1;
      step.limit(Math.max(1, most));
      done.disabled = !sku || sku.stock < 1;
      done.textContent = !sku ? "请选择规格" : sku.stock < 1 ? "这个规格卖完了" : "去结算";
    };
    for (const group of groups) {
      body.append(h("fieldset", {}, h("legend", {}, group.name), group.values.map(({ id, value }) => h("button", {
        type: "button", class: "chip", "data-group": group.id, "data-value": id,
        onclick: () => { chosen.get(group.id) === id ? chosen.delete(group.id) : chosen.set(group.id, id); draw(); },
      }, value))));
    }
    preselect(goods, groups, chosen);
    done.addEventListener("click", () => close({ sku: current(), quantity: step.value() }));
    draw();
    return h("div", { class: "sku-sheet" }, head, body, h("div", { class: "row quantity" }, h("span", {}, "数量"), step.node), done);
  });
}

/** What is to be chosen: the specs, or the SKUs themselves where goods have several without specs. */
function specGroups(goods) {
  if (goods.specs.length) {
    return goods.specs.map((spec, index) => ({
      id: String(spec.id), name: spec.name, values: spec.values.map(({ id, value }) => ({ id: String(id), value })),
      of: (sku) => String(sku.spec_value_ids.find((id) => spec.values.some((value) => value.id === id)) ?? sku.spec_value_ids[index]),
    }));
  }
  if (goods.skus.length < 2) return [];
  return [{ id: "sku", name: "规格", values: goods.skus.map((sku) => ({ id: String(sku.id), value: sku.attr || sku.code })), of: (sku) => String(sku.id) }];
}

function preselect(goods, groups, chosen) {
  const first = goods.skus.find((sku) => sku.stock > 0) ?? goods.skus[0];
  for (const group of groups) chosen.set(group.id, group.of(first));
}

function mark(button, goods, groups, chosen) {
  const { group: id, value } = button.dataset;
  button.setAttribute("aria-pressed", String(chosen.get(id) === value));
  const others = groups.filter((group) => group.id !== id && chosen.has(group.id));
  const group = groups.find((one) => one.id === id);
  const exists = goods.skus.some((sku) => sku.stock > 0 && group.of(sku) === value && others.every((other) => other.of(sku) === chosen.get(other.id)));
  button.classList.toggle("away", !exists);
}

function skuHead(goods, sku, groups, chosen) {
  const words = sku ? (sku.attr || goods.name) : groups.filter((group) => !chosen.has(group.id)).map((group) => group.name).join("、");
  return [
    picture(sku?.image_url || goods.images[0], ""),
    h("div", {},
      sku ? price(sku.price_fen, "large") : priceRange(goods.skus),
      h("p", { class: sku && sku.stock <= 5 ? "stock low" : "stock" }, sku ? `库存 ${sku.stock} 件` : "请选择"),
      h("p", { class: "chosen" }, sku ? `已选 ${words}` : `还没选 ${words}`)),
  ];
}

function stepper() {
  let most = 1;
  const field = h("input", { type: "number", inputmode: "numeric", min: 1, value: "1", "aria-label": "数量" });
  const set = (number) => {
    const fine = Number.isFinite(number) ? Math.trunc(number) : 1;
    if (fine > most) toast(`最多买 ${most} 件`);
    field.value = String(Math.min(most, Math.max(1, fine)));
    less.disabled = field.value === "1";
    more.disabled = Number(field.value) >= most;
  };
  const less = h("button", { type: "button", "aria-label": "少一件", onclick: () => set(Number(field.value) - 1) }, icon("minus"));
  const more = h("button", { type: "button", "aria-label": "多一件", onclick: () => set(Number(field.value) + 1) }, icon("plus"));
  field.addEventListener("change", () => set(Number(field.value)));
  return {
    node: h("span", { class: "stepper" }, less, field, more),
    value: () => Number(field.value),
    limit: (number) => { most = number; field.max = String(number); set(Math.min(Number(field.value), number)); },
  };
}
