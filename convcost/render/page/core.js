"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const esc = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const mark = (name) => performance.mark(name);

/* A number is an index into the list of distinct integers, whose texts were formatted in Python. */
const BYTES = new Set(["activation_bytes", "weight_bytes", "bytes_read", "bytes_written"]);
const numberText = (place, quantity) => data.numbers[BYTES.has(quantity) ? "bytes" : "count"][place];
const numberHtml = (place, quantity) => {
  const exact = data.numbers.exact[place] + (BYTES.has(quantity) ? " bytes" : "");
  return `<data value="${data.numbers.raw[place]}" title="${exact}">${shown(numberText(place, quantity), exact)}</data>`;
};
let exactly = false;
const shown = (short, exact) => (exactly ? exact.replace(" bytes", "") : short);

/* Each <data> with a title toggles between its short text and all digits. */
$("exact").addEventListener("click", () => {
  exactly = !exactly;
  $("exact").setAttribute("aria-pressed", exactly);
  document.documentElement.classList.toggle("exact", exactly);
  for (const one of document.querySelectorAll("data[title]:not(.error)")) {
    if (exactly) {
      one.dataset.short = one.textContent;
      one.textContent = one.title.replace(" bytes", "");
    } else if (one.dataset.short) {
      one.textContent = one.dataset.short;
    }
  }
  document.dispatchEvent(new CustomEvent("exactness"));
});

const darkNow = () => {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};
const sayTheme = () => $("theme").setAttribute("aria-pressed", darkNow());
const remembered = (value) => {
  try {
    if (value) localStorage.setItem("convcost-theme", value);
    return localStorage.getItem("convcost-theme");
  } catch {
    return null; /* storage may be forbidden; the theme then lasts as long as the page */
  }
};
if (remembered()) document.documentElement.dataset.theme = remembered();
sayTheme();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", sayTheme);
$("theme").addEventListener("click", () => {
  const next = darkNow() ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  remembered(next);
  sayTheme();
});

for (const one of document.querySelectorAll("[data-group]")) {
  const colours = data.colours || {};
  if (colours[one.dataset.group]) one.style.setProperty("--own", colours[one.dataset.group]);
  else one.classList.remove("group");
}
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => (one.open = true)));
