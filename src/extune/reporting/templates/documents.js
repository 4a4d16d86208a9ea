// One document as an element. In: a row of the payload (see documents.py). Out: an `article`. It knows nothing about filters.

const DATA = JSON.parse(document.getElementById("data-documents").textContent);
const nameOf = (number) => DATA.names[number];
const keyOf = (span) => `${span[0]} ${span[1]} ${span[2]}`;

function drawDocument(row) {
  return make(
    "article",
    {},
    drawTitle(row),
    row.h ? make("details", {}, make("summary", {}, say("earlier turns")), make("pre", { dir: "auto" }, row.h.flat().join("\n"))) : null,
    DATA.kind === "extraction" ? null : make("div", { class: "text plain", dir: "auto" }, row.x),
    ({ extraction: drawSpans, record: drawFields, classification: drawLabels, generation: drawTexts })[DATA.kind](row),
    ...row.a.map((answer, number) => drawMistakes(answer, number, row.a.length > 1)),
    ...row.a.map((answer, number) => drawCompletion(answer, number, row.a.length > 1)),
  );
}

function drawTitle(row) {
  const tags = [];
  if (row.z !== undefined) tags.push(make("span", { class: `tag ${["good", "bad", "", ""][row.z]}` }, say(DATA.statuses[row.z])));
  else tags.push(row.a[0].e ? make("span", { class: "tag good" }, say("without mistake")) : make("span", { class: "tag bad" }, say("with mistakes")));
  if (row.k) tags.push(make("span", { class: "tag" }, say("also in train")));
  return make("h3", {}, row.s ? `${row.i} · ${row.s}` : row.i, ...tags);
}

function drawSide(title, content, more = "") {
  return make("div", {}, make("h4", {}, title), make("div", { class: `text ${more}`, dir: "auto" }, content));
}

/** Gold beside each answer; gold shows as missed what some answer lacks. */
function drawSpans(row) {
  const toMark = (verdict) => (span) => ({ start: span[0], end: span[1], name: nameOf(span[2]), verdict: verdict(span), confidence: span[3] });
  const gold = new Set(row.g.p.map(keyOf));
  const found = row.a.map((answer) => new Set(answer.p.map(keyOf)));
  const inAll = (span) => found.every((keys) => keys.has(keyOf(span)));
  return make(
    "div",
    { class: "sides" },
    drawSide(say("gold"), markSpans(row.x, row.g.p.map(toMark((span) => (inAll(span) ? "found" : "missed"))))),
    ...row.a.map((answer, number) =>
      drawSide(nameAnswer(number), markSpans(row.x, answer.p.map(toMark((span) => (gold.has(keyOf(span)) ? "found" : "spurious"))))),
    ),
  );
}

function nameAnswer(number) {
  return DATA.answers.length > 1 ? DATA.answers[number] : say(DATA.answers[0]);
}

/** A table of names with gold and each answer. */
function drawTable(rows) {
  const head = ["", say("gold"), ...DATA.answers.map((_, number) => nameAnswer(number))];
  return make(
    "table",
    { class: "values" },
    make("thead", {}, make("tr", {}, ...head.map((title) => make("th", { scope: "col" }, title)))),
    make("tbody", {}, ...rows.map(([name, ...cells]) => make("tr", {}, make("th", { scope: "row" }, name), ...cells.map((cell) => make("td", { dir: "auto" }, ...[cell].flat()))))),
  );
}

function drawFields(row) {
  const names = DATA.names.filter((name) => [row.g, ...row.a].some((one) => name in one.f));
  return drawTable(
    names.map((name) => {
      const gold = row.g.f[name];
      const lists = [row.g, ...row.a].some((one) => Array.isArray(one.f[name]));
      const cells = row.a.map((answer) => (lists ? compareLists(gold ?? [], answer.f[name] ?? []) : markDifference(gold ?? "", answer.f[name] ?? "")));
      const told = row.a.length > 1 ? (lists ? (gold ?? []).join("；") : gold ?? "") : cells[0][0];
      return [name, told, ...cells.map((cell) => cell[1])];
    }),
  );
}

function compareLists(gold, predicted) {
  const side = (own, others, verdict) => {
    const left = [...others];
    return own.flatMap((value, number) => {
      const at = left.indexOf(value);
      if (at >= 0) left.splice(at, 1);
      const shown = at >= 0 ? value : make("mark", { class: `${verdict} first last` }, value);
      return number ? ["；", shown] : [shown];
    });
  };
  return [side(gold, predicted, "missed"), side(predicted, gold, "spurious")];
}

function drawLabels(row) {
  const names = (one) => one.l.map(nameOf);
  const cells = row.a.map((answer) => compareLists(names(row.g), names(answer)));
  const told = row.a.length > 1 ? names(row.g).join("；") : cells[0][0];
  return drawTable([[say("label"), told, ...cells.map((cell) => (cell[1].length ? cell[1] : say("(no label)")))]]);
}

function drawTexts(row) {
  const cells = row.a.map((answer) => markDifference(row.g.t, answer.t));
  const gold = row.a.length > 1 ? row.g.t : cells[0][0];
  return make("div", { class: "sides" }, drawSide(say("gold"), gold, "plain"), ...cells.map((cell, number) => drawSide(nameAnswer(number), cell[1], "plain")));
}

/** The mistakes of an answer in words, each pair once, and what no mark can show. */
function drawMistakes(answer, number, several) {
  const items = [];
  const quote = (name, text) => `${nameOf(name)}「${text}」`;
  for (const [kind, gold, predicted, seen, goldText, predictedText, isGold] of DATA.kind === "extraction" ? answer.m ?? [] : []) {
    const pair = gold !== null && predicted !== null;
    if ((pair && !isGold) || (gold === null && predicted === null)) continue;
    const told = pair ? `${quote(gold, goldText)} → ${quote(predicted, predictedText)}` : gold !== null ? quote(gold, goldText) : quote(predicted, predictedText);
    const known = seen === null ? "" : ` · ${say(DATA.seen[seen])}`;
    items.push(make("li", {}, make("span", { class: "tag" }, say(DATA.classes[kind])), told, make("span", { class: "soft" }, known)));
  }
  for (const [kind, detail] of answer.n ?? []) {
    items.push(make("li", {}, make("span", { class: "tag bad" }, say(kind.replaceAll("_", " "))), detail));
  }
  if (!items.length) return null;
  return make("ul", { class: "mistakes" }, several ? make("li", { class: "soft" }, nameAnswer(number)) : null, ...items);
}

function drawCompletion(answer, number, several) {
  if (!answer.c || DATA.kind === "generation") return null;
  const title = say("the model's answer") + (several ? ` · ${nameAnswer(number)}` : "");
  return make("details", {}, make("summary", {}, title), make("pre", { dir: "auto", tabindex: "0" }, answer.c));
}
