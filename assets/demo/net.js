// Calls of the shop's API and of the simulated WeChat, and who the buyer is.
// Every call is told to the record beside the phone (see wire.js).

const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? "";

export const APPID = meta("appid");
/** Messages of the API are shown to the buyer, whose page is Chinese. */
const SPOKEN = { "Accept-Language": "zh-CN" };
const SANDBOX = meta("sandbox").replace(/\/$/, "");

export const BUYERS = [
  { id: "xiaoman", name: "小满", hue: 24 },
  { id: "achuan", name: "阿川", hue: 205 },
  { id: "mianmian", name: "棉棉", hue: 330 },
  { id: "laozhou", name: "老周", hue: 150 },
];

/** A refusal or a failure: `code` as in the API, `message` fit to be shown. */
export class Problem extends Error {
  constructor(status, code, message, detail = null) {
    super(message);
    Object.assign(this, { status, code, detail });
  }
  /** Whether the same request may simply be sent again. */
  get passing() {
    return ["network", "busy", "unavailable", "internal", "rate_limited", "wechat_error"].includes(this.code);
  }
}

const listeners = new Set();
/** Hears of every call: {side, method, path, status, ms, sent, got}. */
export const onCall = (listener) => listeners.add(listener);
export const tell = (entry) => listeners.forEach((listener) => listener(entry));

const remembered = {
  get: (key) => { try { return localStorage.getItem(key); } catch { return null; } },
  set: (key, value) => { try { localStorage.setItem(key, value); } catch { /* private mode: not kept */ } },
  drop: (key) => { try { localStorage.removeItem(key); } catch { /* as above */ } },
};
export { remembered };

export const session = {
  buyer: BUYERS.find((buyer) => buyer.id === remembered.get("buynow:buyer")) ?? BUYERS[0],
};
const tokenKey = (buyer) => `buynow:token:${APPID}:${buyer}`;

export function becomeBuyer(id) {
  session.buyer = BUYERS.find((buyer) => buyer.id === id) ?? BUYERS[0];
  remembered.set("buynow:buyer", session.buyer.id);
}

async function request(side, base, method, path, body, headers) {
  const started = performance.now();
  const entry = { side, method, path, sent: body, status: 0, got: null };
  try {
    const answer = await fetch(base + path, {
      method,
      headers: { ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    entry.status = answer.status;
    entry.got = parse(text);
  } catch {
    entry.got = "no answer";
  }
  entry.ms = performance.now() - started;
  tell(entry);
  if (entry.status >= 200 && entry.status < 300) return { data: entry.got, status: entry.status };
  throw problem(entry);
}

function parse(text) {
  if (text === "") return null;
  try { return JSON.parse(text); } catch { return text; }
}

const WORDS = { 0: "网络不通，没有收到回答", 429: "请求太频繁，歇一会儿再试", 503: "现在人太多，请稍后再试" };

function problem({ status, got }) {
  const known = got && typeof got === "object" ? got : {};
  const code = known.code ?? (status === 0 ? "network" : "internal");
  const message = known.message ?? WORDS[status] ?? `出了点问题（${status}）`;
  return new Problem(status, String(code), String(message), known.detail ?? null);
}

/** A call of the simulated WeChat. */
export async function sandbox(method, path, body) {
  return (await request("wechat", SANDBOX, method, path, body, {})).data;
}

/** wx.login, then our session: a token for this buyer. */
export async function logIn(buyer) {
  const { code } = await sandbox("POST", "/sandbox/login", { appid: APPID, buyer });
  const headers = { ...SPOKEN, "X-WX-APPID": APPID };
  const { data } = await request("shop", "/api/v1", "POST", "/session", { code }, headers);
  return data.token;
}

const entering = new Map();
function token(buyer, fresh) {
  const kept = remembered.get(tokenKey(buyer));
  if (kept && !fresh) return kept;
  if (!entering.has(buyer)) {
    const login = logIn(buyer)
      .then((token) => { remembered.set(tokenKey(buyer), token); return token; })
      .finally(() => entering.delete(buyer));
    entering.set(buyer, login);
  }
  return entering.get(buyer);
}

/** A call of the shop's API as the buyer; logs in where needed. Answers {data, status}. */
export async function call(method, path, body, options = {}) {
  const buyer = session.buyer.id;
  const send = async (fresh) => {
    const headers = { ...SPOKEN, "X-WX-APPID": APPID, Authorization: `Bearer ${await token(buyer, fresh)}` };
    if (options.key) headers["Idempotency-Key"] = options.key;
    return request("shop", "/api/v1", method, path, body, headers);
  };
  try {
    return await send(false);
  } catch (error) {
    if (error.code !== "unauthorized") throw error;
    remembered.drop(tokenKey(buyer));
    return send(true);
  }
}

export const get = async (path) => (await call("GET", path)).data;
export const post = async (path, body, options) => (await call("POST", path, body, options)).data;

/** A call as one of many buyers who are nobody's session here. */
export async function callAs(bearer, method, path, body, key) {
  const headers = { ...SPOKEN, "X-WX-APPID": APPID, Authorization: `Bearer ${bearer}` };
  if (key) headers["Idempotency-Key"] = key;
  return (await request("shop", "/api/v1", method, path, body, headers)).data;
}

/** The buyer's messages as they arrive. Answers a function that stops listening. */
export function messageStream(onMessage) {
  const query = new URLSearchParams({ appid: APPID, buyer: session.buyer.id });
  const source = new EventSource(`${SANDBOX}/sandbox/messages/stream?${query}`);
  source.addEventListener("message", (event) => {
    const message = parse(event.data);
    if (message && typeof message === "object") onMessage(message);
  });
  return () => source.close();
}

export function pastMessages() {
  const query = new URLSearchParams({ appid: APPID, buyer: session.buyer.id });
  return sandbox("GET", `/sandbox/messages?${query}`);
}

/** A key under which a request may be repeated. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
