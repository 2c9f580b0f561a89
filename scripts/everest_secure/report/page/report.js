"use strict";
const form = document.querySelector(".filter");
const tiles = [...document.querySelectorAll(".tile")];
const items = [...document.querySelectorAll("main details")].map((element) => ({ element, text: element.textContent.toLowerCase() }));
const pressed = (button) => button.getAttribute("aria-pressed") === "true";
const toggle = (button) => button.setAttribute("aria-pressed", String(!pressed(button)));

function apply() {
  const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
  const group = form.elements.group.value;
  const severity = form.elements.severity.value;
  const chosen = (key) => tiles.filter((tile) => pressed(tile) && key in tile.dataset).map((tile) => tile.dataset[key]);
  const outcomes = chosen("outcome");
  const proven = chosen("proven");
  const attention = pressed(form.elements.attention);
  let count = 0;
  for (const { element, text } of items) {
    const wanted = words.every((word) => text.includes(word))
      && (!group || element.parentElement.dataset.group === group)
      && (!severity || element.dataset.severity === severity)
      && (!outcomes.length || outcomes.includes(element.dataset.outcome))
      && (!proven.length || proven.includes(element.dataset.proven))
      && (!attention || "attention" in element.dataset);
    element.hidden = !wanted;
    count += wanted;
  }
  for (const section of document.querySelectorAll("main .group")) section.hidden = !section.querySelector("details:not([hidden])");
  document.querySelector(".nothing").hidden = count > 0;
  form.elements.shown.value = `${count} of ${items.length} shown`;
}

function reveal() {
  const target = document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) {
    if (target.hidden) form.reset();
    target.open = true;
    target.scrollIntoView();
  }
}

for (const tile of tiles) tile.addEventListener("click", () => { toggle(tile); apply(); });
form.elements.attention.addEventListener("click", (event) => { toggle(event.target); apply(); });
form.elements.expand.addEventListener("click", (event) => {
  const open = event.target.textContent === "Expand all";
  for (const { element } of items) if (!element.hidden) element.open = open;
  event.target.textContent = open ? "Collapse all" : "Expand all";
});
form.addEventListener("input", apply);
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => {
  for (const button of [...tiles, form.elements.attention]) button.setAttribute("aria-pressed", "false");
  setTimeout(apply);
});
addEventListener("hashchange", reveal);
let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  for (const element of closed) element.open = true;
});
addEventListener("afterprint", () => { for (const element of closed) element.open = false; });
form.hidden = false;
apply();
reveal();
