// The buyer's addresses, in the form that wx.chooseAddress gives.

import { busy, h, icon } from "./dom.js";
import { call, get, post } from "./net.js";
import { ask, complain, sheet } from "./layer.js";

const SAMPLES = [
  { name: "林小满", phone: "13800138000", province: "广东省", city: "广州市", district: "海珠区", detail: "新港中路 397 号 6 楼" },
  { name: "陈阿川", phone: "13900139000", province: "四川省", city: "成都市", district: "武侯区", detail: "玉林西路 12 号 3 单元" },
  { name: "沈棉棉", phone: "13700137000", province: "浙江省", city: "杭州市", district: "西湖区", detail: "文三路 90 号 2 幢 501" },
];
const FIELDS = [
  ["name", "收货人", "姓名", "name", 64],
  ["phone", "手机号", "11 位手机号", "tel", 20],
  ["province", "省", "广东省", "address-level1", 32],
  ["city", "市", "广州市", "address-level2", 32],
  ["district", "区县", "海珠区", "address-level3", 32],
  ["detail", "详细地址", "街道、门牌号", "street-address", 120],
];

export const addresses = async () => {
  const found = await get("/addresses");
  return Array.isArray(found) ? found : found.items;
};

export const inWords = (a) => `${a.province}${a.city}${a.district}${a.detail}`;

/** A phone number as it may be looked at over one's shoulder. */
export const masked = (phone) => String(phone).replace(/^(\d{3})\d{4}(?=\d{4}$)/, "$1****");

/** Lets the buyer choose, add and change addresses; the one chosen, or undefined. */
export function chooseAddress(chosenId) {
  return sheet("收货地址", (close) => {
    const box = h("div", { class: "address-list" });
    const draw = async () => {
      const all = await addresses();
      if (all.length === 0 && !box.dataset.asked) box.dataset.asked = "1";
      box.replaceChildren(...(all.length ? all.map((one) => row(one, chosenId, close, draw)) : [h("p", { class: "hint" }, "还没有地址，添一个吧。")]));
    };
    draw().catch(complain);
    const add = h("button", { type: "button", class: "main-button wide" }, icon("plus"), "新增收货地址");
    add.addEventListener("click", async () => { const saved = await edit(null); if (saved) close(saved); });
    return h("div", {}, box, add);
  });
}

function row(address, chosenId, close, draw) {
  const change = async () => { if (await edit(address)) await draw().catch(complain); };
  const remove = async () => {
    if (!(await ask({ title: "删除这个地址？", text: inWords(address), yes: "删除", no: "留着", danger: true }))) return;
    await call("DELETE", `/addresses/${address.id}`).then(draw).catch(complain);
  };
  return h("article", { class: "address", "aria-current": address.id === chosenId ? "true" : null },
    h("button", { type: "button", class: "address-pick", onclick: () => close(address) },
      h("strong", {}, address.name, h("span", {}, masked(address.phone)), address.is_default ? h("em", { class: "tag" }, "默认") : null),
      h("span", {}, inWords(address))),
    h("div", { class: "address-do" },
      h("button", { type: "button", onclick: change }, "编辑"),
      h("button", { type: "button", onclick: remove }, "删除")));
}

/** The form for one address; the address as saved, or undefined. */
export function edit(address) {
  return sheet(address ? "编辑地址" : "新增地址", (close) => {
    const inputs = {};
    const rows = FIELDS.map(([key, label, hint, fill, most]) => {
      inputs[key] = h("input", { name: key, placeholder: hint, autocomplete: fill, maxlength: most, required: key !== "district", value: address?.[key] ?? "", inputmode: key === "phone" ? "tel" : null });
      return h("label", { class: "field" }, h("span", {}, label), inputs[key]);
    });
    const main = h("input", { type: "checkbox", role: "switch" });
    main.checked = address?.is_default ?? true;
    const wrong = h("p", { class: "wrong", role: "alert" });
    const save = h("button", { type: "submit", class: "main-button wide" }, "保存");
    const form = h("form", { class: "address-form" },
      address ? null : fillIn(inputs),
      h("div", { class: "fields" }, rows, h("label", { class: "field switch" }, h("span", {}, "设为默认"), main)),
      wrong, save);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const body = Object.fromEntries(FIELDS.map(([key]) => [key, inputs[key].value.trim()]));
      body.is_default = main.checked;
      busy(save, async () => {
        try {
          close(await store(address, body));
        } catch (error) { wrong.textContent = error.message; }
      });
    });
    return form;
  });
}

function store(address, body) {
  return address ? call("PUT", `/addresses/${address.id}`, body).then(({ data }) => data) : post("/addresses", body);
}

/** WeChat's own address list, as wx.chooseAddress would open it. */
function fillIn(inputs) {
  return h("div", { class: "wx-addresses" },
    h("span", {}, "从微信地址填入"),
    SAMPLES.map((sample) => h("button", { type: "button", class: "chip", onclick: () => {
      for (const [key, value] of Object.entries(sample)) inputs[key].value = value;
    } }, sample.name)));
}

/** An address for a buyer who has none and is not asked. */
export const someAddress = (index) => SAMPLES[index % SAMPLES.length];
