// Making of elements and texts. Data becomes text nodes and attributes only, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element: h("p", { class: "x", onclick: f }, "text", child, ...). */
export function h(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) set(node, name, value);
  node.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return node;
}

function set(node, name, value) {
  if (value == null || value === false) return;
  if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
  else if (name === "class") node.className = value;
  else if (name === "vars") for (const [key, v] of Object.entries(value)) node.style.setProperty(key, v);
  else if (name === "value") node.value = value;
  else node.setAttribute(name, value === true ? "" : String(value));
}

const ICONS = {
  back: "M15 4 7 12l8 8",
  next: "m9 5 7 7-7 7",
  down: "m5 9 7 7 7-7",
  close: "M6 6l12 12M18 6 6 18",
  check: "m5 12.5 4.5 4.5L19 7.5",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  search: "M11 4a7 7 0 1 1 0 14 7 7 0 0 1 0-14zm5 12 4 4",
  shop: "M4 9.5 5.5 4h13L20 9.5M4 9.5a2.7 2.7 0 0 0 5.3 0 2.7 2.7 0 0 0 5.4 0 2.7 2.7 0 0 0 5.3 0M5.5 12.5V20h13v-7.5M10 20v-4.5h4V20",
  mail: "M5 18.5V11a7 7 0 0 1 14 0v7.5M3.5 18.5h17M10 21.5h4M12 4V2.5",
  list: "M6 3.5h12v17l-2.4-1.6-2.4 1.6-2.4-1.6-2.4 1.6L6 20.5zM9.5 9h5M9.5 13h5",
  me: "M12 4a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM4.5 20.5c.6-4 3.6-6 7.5-6s6.9 2 7.5 6",
  pin: "M12 21c5-5.3 7-8.2 7-11a7 7 0 0 0-14 0c0 2.8 2 5.7 7 11zM12 7.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5z",
  clock: "M12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16zm0 3.5V12l3 2",
  box: "M4 8l8-4 8 4v8.5l-8 4-8-4zm0 0 8 4 8-4M12 12v8.5",
  warn: "M12 4 2.8 20h18.4zM12 10v4.5M12 17.2v.1",
  copy: "M9 9h10v11H9zM15 9V4H5v11h4",
  bolt: "M13 3 5 13.5h6L10.5 21 19 10h-6.5z",
  swap: "M4 8h14l-3.5-3.5M20 16H6l3.5 3.5",
  late: "M12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16zm0 4v4.5l3.5 2M3 3l3 2M21 3l-3 2",
  twice: "M8 4h12v12H8zM4 8v12h12",
  theme: "M12 4a8 8 0 1 0 8 8c-4 2-9-2.5-8-8z",
  code: "m8 7-5 5 5 5M16 7l5 5-5 5M13.5 5l-3 14",
};

/** A line icon, for the eye only. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", `icon icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name] ?? "");
  svg.append(path);
  return svg;
}

/** A picture of goods; what is no picture address shows a bag instead. */
export function picture(url, alt = "") {
  const fine = typeof url === "string" && /^(\/(?!\/)|https?:\/\/)/.test(url);
  const box = h("span", { class: "picture" }, fine ? null : icon("shop"));
  if (fine) {
    const image = h("img", { src: url, alt, loading: "lazy", decoding: "async" });
    image.addEventListener("error", () => image.replaceWith(icon("shop")));
    box.append(image);
  }
  return box;
}

/** Fen as yuan, for text. */
export function yuan(fen) {
  const sign = fen < 0 ? "-" : "";
  const abs = Math.abs(fen);
  return `${sign}${Math.trunc(abs / 100)}.${String(abs % 100).padStart(2, "0")}`;
}

/** Fen as a price: the yuan large, sign and fen small. */
export function price(fen, extra = "") {
  const [whole, cents] = yuan(fen).split(".");
  return h("span", { class: `price ${extra}`, "aria-label": `${yuan(fen)} 元` },
    h("small", { "aria-hidden": "true" }, "¥"),
    h("b", { "aria-hidden": "true" }, whole),
    h("small", { "aria-hidden": "true" }, `.${cents}`));
}

const two = (number) => String(number).padStart(2, "0");

/** A time as people read it. */
export function when(text) {
  if (!text) return "";
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) return "";
  const day = time.toDateString() === new Date().toDateString() ? "" : `${time.getMonth() + 1}月${time.getDate()}日 `;
  return `${day}${two(time.getHours())}:${two(time.getMinutes())}`;
}

/** A time to the second. */
export function exactly(text) {
  if (!text) return "";
  const t = new Date(text);
  if (Number.isNaN(t.getTime())) return "";
  const date = [t.getFullYear(), two(t.getMonth() + 1), two(t.getDate())].join("-");
  return `${date} ${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`;
}

/** How long until then, as 14:59; null when it is past. */
export function until(text) {
  const seconds = Math.ceil((new Date(text).getTime() - Date.now()) / 1000);
  if (!(seconds > 0)) return null;
  const hours = Math.floor(seconds / 3600);
  return `${hours > 0 ? `${hours}:` : ""}${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}

/** Runs a button's work once at a time, and shows that it runs. */
export async function busy(button, work) {
  if (button.getAttribute("aria-busy") === "true") return;
  button.setAttribute("aria-busy", "true");
  try {
    await work();
  } finally {
    button.removeAttribute("aria-busy");
  }
}

export const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
