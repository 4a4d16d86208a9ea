// A text with its spans as nested marks, and two texts with what differs marked. In: texts and spans. Out: nodes.

/** Spans as {start, end, name, verdict, confidence}; offsets count code points, as in Python. */
function markSpans(text, spans) {
  const letters = [...text];
  const ordered = [...spans].sort((a, b) => a.start - b.start || b.end - a.end || (a.name < b.name ? -1 : 1));
  const cuts = [...new Set([0, letters.length, ...ordered.flatMap((span) => [span.start, span.end])])].sort((a, b) => a - b);
  const top = document.createDocumentFragment();
  const open = []; // [span, element], the outermost first
  let covering = [];
  cuts.forEach((place, number) => {
    covering = [...covering, ...ordered.filter((span) => span.start === place)].filter((span) => span.end > place);
    let kept = 0;
    while (kept < open.length && kept < covering.length && open[kept][0] === covering[kept]) kept += 1;
    while (open.length > kept) closeMark(...open.pop(), place);
    for (const span of covering.slice(kept)) {
      const element = openMark(span, place);
      (open.length ? open.at(-1)[1] : top).append(element);
      open.push([span, element]);
    }
    const piece = letters.slice(place, cuts[number + 1] ?? place).join("");
    if (piece) (open.length ? open.at(-1)[1] : top).append(piece);
  });
  return top;
}

/** A span that crosses the end of an outer one is closed with it and opened again: only its true ends are drawn closed. */
function openMark(span, place) {
  const sure = span.confidence === undefined ? "" : ` ${span.confidence}`;
  return make("mark", {
    class: span.verdict + (span.start === place ? " first" : ""),
    title: `${span.name} [${span.start}, ${span.end}) ${say(span.verdict)}${sure}`,
    "data-span": `${span.start} ${span.end} ${span.name}`,
  });
}

function closeMark(span, element, place) {
  const depths = [...element.children].map((child) => Number(child.style.getPropertyValue("--in")) + 1 || 0);
  const depth = Math.max(0, ...[...element.children].map((child, number) => (child.tagName === "MARK" ? Math.max(1, depths[number]) : 0)));
  if (depth) element.style.setProperty("--in", depth);
  if (span.end === place) {
    element.classList.add("last");
    element.append(make("small", {}, span.name));
  }
}

const MOST_CELLS = 4e6; // of the table that finds what two texts share; beyond it nothing is marked

/** Both texts as fragments: what only one of them has is marked, by a longest common subsequence of code points. */
function markDifference(gold, predicted) {
  const [one, other] = [[...gold], [...predicted]];
  if (!one.length || !other.length || one.length * other.length > MOST_CELLS) {
    const whole = (text, verdict) => (text && gold !== predicted && (!gold || !predicted) ? make("mark", { class: `${verdict} first last` }, text) : text);
    return [whole(gold, "missed"), whole(predicted, "spurious")];
  }
  const width = other.length + 1;
  const lengths = new Uint16Array((one.length + 1) * width);
  for (let i = one.length - 1; i >= 0; i -= 1) {
    for (let j = other.length - 1; j >= 0; j -= 1) {
      const at = i * width + j;
      lengths[at] = one[i] === other[j] ? lengths[at + width + 1] + 1 : Math.max(lengths[at + width], lengths[at + 1]);
    }
  }
  const pieces = [[], []]; // [text, is shared]
  const add = (side, letter, shared) => {
    const last = pieces[side].at(-1);
    if (last && last[1] === shared) last[0] += letter;
    else pieces[side].push([letter, shared]);
  };
  let [i, j] = [0, 0];
  while (i < one.length || j < other.length) {
    if (i < one.length && j < other.length && one[i] === other[j]) {
      add(0, one[i++], true);
      add(1, other[j++], true);
    } else if (j < other.length && (i === one.length || lengths[i * width + j + 1] > lengths[(i + 1) * width + j])) {
      add(1, other[j++], false);
    } else {
      add(0, one[i++], false);
    }
  }
  return pieces.map((found, side) => {
    const fragment = document.createDocumentFragment();
    const verdict = side ? "spurious" : "missed";
    for (const [text, shared] of found) fragment.append(shared ? text : make("mark", { class: `${verdict} first last` }, text));
    return fragment;
  });
}
