// An export tells how far it is. Without this script the browser downloads the same file by itself.
"use strict";

const progress = document.getElementById("progress");

function keep(name, parts) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(parts, { type: "text/csv" }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

async function exported(form) {
  const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
  if (answer.redirected) return location.assign(answer.url);
  if (!answer.ok) throw new Error(answer.statusText);
  const all = answer.headers.get("x-orders");
  const name = /filename="([^"]+)"/.exec(answer.headers.get("content-disposition"));
  const parts = [];
  let rows = -1;
  for (const reader = answer.body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    for (const byte of value) if (byte === 10) rows += 1;
    progress.textContent = `${progress.dataset.read} ${rows} / ${all}`;
  }
  keep(name ? name[1] : "export.csv", parts);
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.dataset.export) return;
  event.preventDefault();
  exported(form)
    .catch(() => { progress.textContent = progress.dataset.lost; })
    .finally(() => { delete form.dataset.sent; });
});
