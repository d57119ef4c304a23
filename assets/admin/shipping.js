// The shipping desk without reloading: scans are sent as the page's own forms, what they answer is
// put in place, said, sounded, and the field for the next scan has the focus.
"use strict";

const desk = document.getElementById("desk");
const said = document.getElementById("said");
const refused = document.getElementById("refused");
let sounds;
let busy = false;
let hurried = false;

// Two tones: one high for what was done, two low for what was not.
function tone(at, hertz, seconds) {
  const source = sounds.createOscillator();
  const volume = sounds.createGain();
  source.type = "square";
  source.frequency.value = hertz;
  volume.gain.value = 0.15;
  source.connect(volume).connect(sounds.destination);
  source.start(sounds.currentTime + at);
  source.stop(sounds.currentTime + at + seconds);
}

function sound(kind) {
  try {
    sounds = sounds || new window.AudioContext();
    if (kind === "good") tone(0, 1320, 0.09);
    if (kind === "bad") { tone(0, 220, 0.25); tone(0.3, 180, 0.35); }
  } catch {
    // No sound here; the text says it.
  }
}

function say(kind, text) {
  const word = document.createElement("span");
  word.className = `said ${kind}`;
  word.textContent = text;
  said.replaceChildren();
  refused.replaceChildren();
  (kind === "good" ? said : refused).append(word);
  sound(kind);
}

function scanField() {
  return desk.querySelector("input.scan");
}

function focusNext() {
  const next = desk.querySelector("[autofocus]") || scanField();
  if (next) next.focus();
}

// A page that is no desk: the log-in, or a refusal of the whole.
function elsewhere(answer, page) {
  if (answer.redirected && !new URL(answer.url).pathname.endsWith("/shipping")) {
    location.assign(answer.url);
    return;
  }
  const heading = page.querySelector("h1");
  say("bad", heading ? heading.textContent : desk.dataset.lost);
}

function show(answer, page, sent) {
  const fresh = page.getElementById("desk");
  if (!fresh) return elsewhere(answer, page);
  // What was scanned while the answer was on its way belongs to the next field.
  const field = scanField();
  const more = field && field.value.startsWith(sent) ? field.value.slice(sent.length) : "";
  desk.replaceChildren(...fresh.childNodes);
  document.title = page.title;
  if (answer.redirected || answer.ok) history.replaceState(null, "", answer.url);
  const word = page.querySelector("[data-sound]");
  if (word) say(word.dataset.sound, word.textContent);
  else { said.replaceChildren(); refused.replaceChildren(); }
  focusNext();
  const next = scanField();
  if (more && next) next.value += more;
}

async function send(address, options, sent) {
  busy = true;
  hurried = false;
  try {
    const answer = await fetch(address, { ...options, credentials: "same-origin" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    show(answer, page, sent);
  } catch {
    say("bad", desk.dataset.lost);
  }
  busy = false;
  const next = scanField();
  if (hurried && next && next.value && document.activeElement === next) next.form.requestSubmit();
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.dataset.scan) return;
  event.preventDefault();
  // The form stays usable: its one-time key lets a repeat act once.
  delete form.dataset.sent;
  if (busy) {
    hurried = true;
    return;
  }
  const fields = new URLSearchParams(new FormData(form));
  const field = scanField();
  const sent = form.contains(field) ? field.value : "";
  if (form.method === "get") send(`${form.action}?${fields}`, {}, sent);
  else send(form.action, { method: "POST", body: fields }, sent);
});

document.addEventListener("keydown", (event) => {
  const way = desk.querySelector("[data-escape]");
  if (event.key !== "Escape" || !way || busy) return;
  event.preventDefault();
  send(way.href, {}, "");
});
