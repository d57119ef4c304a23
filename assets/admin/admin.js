// Improves pages that work without it.
"use strict";

// A summary of what is wrong, or the word of what was done, is where the reader goes on.
const problems = document.getElementById("problems");
if (problems) problems.focus();

// A second press while the first is under way does nothing.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
});
// Back from the browser's memory the form can be sent again.
window.addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});
// A key leads to the field that names it, unless somebody is typing.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const field = document.querySelector(`[data-jump="${CSS.escape(event.key)}"]`);
  if (!field) return;
  event.preventDefault();
  field.focus();
});

// The company that was shipped with last is proposed for the next parcel.
const company = document.querySelector("form.ship select[name=company]");
if (company) {
  const form = company.form;
  const known = localStorage.getItem("buynow-company");
  const refused = document.getElementById("problems");
  if (known && !refused) company.value = known;
  if (company.selectedIndex < 0) company.selectedIndex = 0;
  // Another company's name is asked for only where it counts.
  const other = document.getElementById("other-company");
  const ask = () => { other.hidden = company.value !== "OTHER"; };
  company.addEventListener("change", ask);
  ask();
  form.addEventListener("submit", () => localStorage.setItem("buynow-company", company.value));
}
