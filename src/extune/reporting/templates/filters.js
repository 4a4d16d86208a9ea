// The list of documents: what is chosen, page by page. In: DATA. Out: the list, redrawn whenever a choice changes.

const PAGE = 20;
const NOTHING = { show: "", kind: "", name: "", seen: "", problem: "", search: "", pair: null };
const state = { ...NOTHING, page: 0, chosen: [] };
const has = (test) => DATA.documents.some(test);
const mistakesOf = (row) => row.a.flatMap((answer) => answer.m ?? []);

/** Whether a mistake is one that is looked for; all chosen conditions must hold for the same mistake. */
function fits([kind, gold, predicted, seen]) {
  if (state.kind !== "" && kind !== Number(state.kind)) return false;
  if (state.name !== "" && gold !== Number(state.name) && predicted !== Number(state.name)) return false;
  if (state.seen !== "" && seen !== Number(state.seen)) return false;
  return !state.pair || (gold === state.pair.gold && predicted === state.pair.predicted);
}

function isShown(row) {
  const exact = row.a.every((answer) => answer.e);
  if (state.show === "wrong" && exact) return false;
  if (state.show === "right" && !exact) return false;
  if (state.show === "train" && !row.k) return false;
  if (state.show.startsWith("status") && row.z !== Number(state.show.slice(6))) return false;
  if (state.problem && !row.a.some((answer) => (answer.n ?? []).some(([kind]) => kind === state.problem))) return false;
  if ((state.kind !== "" || state.name !== "" || state.seen !== "" || state.pair) && !mistakesOf(row).some(fits)) return false;
  return !state.search || textOf(row).includes(state.search);
}

/** Everything that the search looks through, in lower case; kept after the first search. */
function textOf(row) {
  row.search ??= JSON.stringify([row.i, row.s, row.x, row.h, row.g, row.a.map(({ f, t, c, u }) => [f, t, c, u])]).toLowerCase();
  return row.search;
}

function choose(change = {}) {
  Object.assign(state, change, { page: 0 });
  state.chosen = DATA.documents.filter(isShown);
  drawList();
}

function drawFilters() {
  const form = document.getElementById("filters");
  const focused = document.activeElement?.name;
  form.replaceChildren(
    select("show", say("documents"), listShows()),
    select("kind", say("class of mistake"), listNumbers(DATA.classes, (mistake) => [mistake[0]], true)),
    select("name", say({ extraction: "type", record: "field" }[DATA.kind] ?? "label"), listNumbers(DATA.names, (mistake) => [mistake[1], mistake[2]], false)),
    select("seen", say("in train"), listNumbers(DATA.seen, (mistake) => [mistake[3]], true)),
    select("problem", say("problem of the answer"), listProblems()),
    make("label", {}, say("search"), make("input", { type: "search", name: "search", value: state.search, oninput: (event) => choose({ search: event.target.value.toLowerCase() }) })),
    make("button", { type: "reset", name: "reset" }, say("show all")),
    state.pair ? make("button", { type: "button", class: "chip", name: "pair", onclick: () => { choose({ pair: null }); drawFilters(); } }, `${namePair(state.pair)} ×`) : "",
  );
  if (focused) form.elements[focused]?.focus();
}

function namePair({ gold, predicted }) {
  const [one, other] = [gold === null ? say("spurious") : nameOf(gold), predicted === null ? say("missed") : nameOf(predicted)];
  return `${one} → ${other}`;
}

/** A labelled choice; one without anything to choose is left out. */
function select(name, title, options) {
  if (!options.length) return "";
  const all = name === "show" ? [] : [["", say("all")]];
  const shown = [...all, ...options].map(([value, text]) => make("option", { value, selected: String(state[name]) === value }, text));
  return make("label", {}, title, make("select", { name, onchange: (event) => choose({ [name]: event.target.value }) }, ...shown));
}

function listShows() {
  const statuses = DATA.statuses.map((name, number) => [`status${number}`, say(name)]);
  const kinds = statuses.length ? statuses : [["wrong", say("with mistakes")], ["right", say("without mistake")]];
  const train = has((row) => row.k) ? [["train", say("also in train")]] : [];
  return [["", say("all")], ...kinds, ...train];
}

/** The values that occur in mistakes, with how many; a pair of mistakes counts twice, as in the tables above. */
function listNumbers(names, pick, translated) {
  const counts = new Map();
  for (const row of DATA.documents) {
    for (const mistake of mistakesOf(row)) {
      for (const number of new Set(pick(mistake))) if (number !== null) counts.set(number, (counts.get(number) ?? 0) + 1);
    }
  }
  return [...counts].sort((a, b) => a[0] - b[0]).map(([number, count]) => [String(number), `${translated ? say(names[number]) : names[number]} (${count})`]);
}

function listProblems() {
  const kinds = new Set(DATA.documents.flatMap((row) => row.a.flatMap((answer) => (answer.n ?? []).map(([kind]) => kind))));
  return [...kinds].sort().map((kind) => [kind, say(kind.replaceAll("_", " "))]);
}

function drawList() {
  const pages = Math.max(1, Math.ceil(state.chosen.length / PAGE));
  state.page = Math.min(Math.max(0, state.page), pages - 1);
  const first = state.page * PAGE;
  const shown = state.chosen.slice(first, first + PAGE);
  document.getElementById("list").replaceChildren(...shown.map(drawDocument));
  const range = { first: shown.length ? first + 1 : 0, last: first + shown.length, chosen: state.chosen.length, total: DATA.documents.length };
  const left = DATA.total > DATA.documents.length ? ` ${say("Of {total} documents this page holds {held}, those with mistakes first; predictions.jsonl holds all.", { total: DATA.total, held: DATA.documents.length })}` : "";
  const told = shown.length ? say("{first} to {last} of {chosen} chosen; {total} documents in all.", range) : say("None of {total} documents fits.", range);
  document.getElementById("status").textContent = told + left;
  document.querySelectorAll("[data-pager]").forEach((pager) => drawPager(pager, pages));
}

/** Buttons keep their identity while pages turn, so that the keyboard's focus stays. */
function drawPager(pager, pages) {
  const turn = (page) => () => { state.page = page(); drawList(); };
  if (!pager.childElementCount) {
    const last = () => Math.ceil(state.chosen.length / PAGE) - 1;
    const steps = { first: () => 0, previous: () => state.page - 1, next: () => state.page + 1, last };
    const buttons = Object.entries(steps).map(([name, page]) => make("button", { type: "button", "data-step": name, onclick: turn(page) }));
    const input = make("input", { type: "number", min: "1", onchange: (event) => turn(() => Number(event.target.value) - 1)() });
    pager.append(...buttons.slice(0, 2), make("label", {}, make("span", { class: "word" }), " ", input, make("span", { class: "of" })), ...buttons.slice(2));
  }
  for (const button of pager.querySelectorAll("button")) {
    button.textContent = say(button.dataset.step);
    button.disabled = ["first", "previous"].includes(button.dataset.step) ? state.page === 0 : state.page === pages - 1;
  }
  pager.querySelector(".word").textContent = say("page");
  pager.querySelector("input").value = state.page + 1;
  pager.querySelector("input").max = pages;
  pager.querySelector(".of").textContent = ` / ${pages}`;
  pager.hidden = pages === 1;
}

/** A number in a table above chooses its documents. */
function openCell(button) {
  const { class: kind, name, seen, gold, predicted } = button.dataset;
  const number = (value) => (value === "" ? null : Number(value));
  choose({
    ...NOTHING,
    show: DATA.statuses.length ? "" : "wrong",
    kind: kind === undefined ? "" : String(DATA.classes.indexOf(kind)),
    name: name ?? "",
    seen: seen ?? "",
    pair: gold === undefined ? null : { gold: number(gold), predicted: number(predicted) },
  });
  drawFilters();
  document.getElementById("documents").scrollIntoView();
  document.getElementById("filters").elements.show.focus({ preventScroll: true });
}

function startDocuments() {
  const form = document.getElementById("filters");
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", (event) => { event.preventDefault(); choose({ ...NOTHING }); drawFilters(); });
  document.getElementById("main").addEventListener("click", (event) => {
    const button = event.target.closest("button[data-class], button[data-gold]");
    if (button) openCell(button);
  });
  document.getElementById("list").addEventListener("pointerover", showSame);
  if (DATA.statuses.length) state.show = [0, 1].map((one) => `status${one}`).find((one) => has((row) => `status${row.z}` === one)) ?? "";
  else if (has((row) => row.a.some((answer) => !answer.e))) state.show = "wrong";
  state.chosen = DATA.documents.filter(isShown);
  redraw.push(drawFilters, drawList); // setLanguage draws them first
}

/** All pieces of the span under the pointer, in gold and in the answers. */
function showSame(event) {
  const key = event.target.closest("mark")?.dataset.span;
  for (const mark of event.currentTarget.querySelectorAll("mark.same")) mark.classList.remove("same");
  if (!key) return;
  for (const mark of event.target.closest("article").querySelectorAll("mark")) mark.classList.toggle("same", mark.dataset.span === key);
}
