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
