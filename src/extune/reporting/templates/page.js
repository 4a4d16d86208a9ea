"use strict";
// Every page: the words in two languages, light and dark, and a line of links to the sections. It knows nothing about documents.

const ROOT = document.documentElement;
const WORDS = JSON.parse(document.getElementById("words").textContent);
const redraw = []; // functions that draw what is written in the reader's language

/** A phrase in the reader's language, its {placeholders} filled in. */
function say(phrase, values = {}) {
  const text = ROOT.dataset.lang === "zh" ? WORDS[phrase] ?? phrase : phrase;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
}

/** An element with attributes and children; strings become text, never markup. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Reads and keeps the reader's choices; a browser may refuse to keep anything for pages from disk. */
const choices = {
  get(name) {
    try {
      return localStorage.getItem(`extune-${name}`);
    } catch {
      return null;
    }
  },
  set(name, value) {
    try {
      localStorage.setItem(`extune-${name}`, value);
    } catch {
      // The choice then holds for this page only.
    }
  },
};

function setLanguage(language) {
  ROOT.dataset.lang = language;
  ROOT.lang = language === "zh" ? "zh-CN" : "en";
  const button = document.getElementById("language");
  button.textContent = language === "zh" ? "English" : "中文";
  button.lang = language === "zh" ? "en-US" : "zh-CN";
  setTheme(ROOT.dataset.theme);
  for (const region of document.querySelectorAll("[data-label]")) {
    region.setAttribute("aria-label", say(region.dataset.label));
  }
  for (const draw of redraw) draw();
}

function setTheme(theme) {
  ROOT.dataset.theme = theme;
  const names = { auto: say("Theme: system"), light: say("Theme: light"), dark: say("Theme: dark") };
  document.getElementById("theme").textContent = names[theme];
}

function listSections() {
  const list = make("ul");
  for (const heading of document.querySelectorAll("main > section[id] > h2:not(.hidden)")) {
    const link = make("a", { href: `#${heading.parentElement.id}` });
    link.append(...[...heading.childNodes].map((node) => node.cloneNode(true)));
    list.append(make("li", {}, link));
  }
  const nav = document.getElementById("sections");
  nav.append(list);
  nav.hidden = list.childElementCount < 2;
}

function startPage() {
  const order = { auto: "light", light: "dark", dark: "auto" };
  const [theme, language] = [document.getElementById("theme"), document.getElementById("language")];
  theme.hidden = language.hidden = false;
  theme.addEventListener("click", () => {
    setTheme(order[ROOT.dataset.theme]);
    choices.set("theme", ROOT.dataset.theme);
  });
  language.addEventListener("click", () => {
    setLanguage(ROOT.dataset.lang === "zh" ? "en" : "zh");
    choices.set("language", ROOT.dataset.lang);
  });
  listSections();
  ROOT.dataset.theme = choices.get("theme") in order ? choices.get("theme") : "auto";
  const kept = choices.get("language");
  setLanguage(["en", "zh"].includes(kept) ? kept : navigator.language.startsWith("zh") ? "zh" : "en");
}
