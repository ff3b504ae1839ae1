"use strict";
// Everything that comes from prompts is set as text (textContent, setAttribute), never as markup.
const SVG = "http://www.w3.org/2000/svg";
const find = (id) => document.getElementById(id);
const cards = [...document.querySelectorAll(".card")];
let data = null;

function evidence() {
  data ??= JSON.parse(find("data").textContent);
  return data;
}

function make(name, attributes = {}, ...inside) {
  const one = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
  one.append(...inside);
  return one;
}

function draw(name, attributes, ...inside) {
  const one = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
  one.append(...inside);
  return one;
}

const short = (value) => (value === null ? "not finite" : String(Number(value.toPrecision(4))));

// Points: every prompt of a set, by its pooled activation --------------------------------------------------------

function columnOf(set) {
  const column = new Array(set.n).fill(0);
  set.rows.forEach((row, i) => { column[row] = set.values[i]; });
  for (const row of set.left_out) column[row] = undefined;
  return column;
}

function spelled(set, column) {
  const known = column.filter((v) => typeof v === "number").sort((a, b) => a - b);
  const fires = known.filter((v) => v !== 0).length;
  if (!known.length) return "no prompt with a counted token";
  const middle = (known[(known.length - 1) >> 1] + known[known.length >> 1]) / 2;
  return `fires on ${fires} of ${known.length} prompts, median ${short(middle)}, from ${short(known[0])} to ${short(known.at(-1))}`;
}

function median(column) {
  const known = column.filter((v) => typeof v === "number").sort((a, b) => a - b);
  return known.length ? (known[(known.length - 1) >> 1] + known[known.length >> 1]) / 2 : null;
}

function points(column, least, most, texts, says) {
  const height = 64, middle = 26, bins = new Map();
  const picture = draw("svg", { class: "points", role: "img", "aria-label": says, height, width: "100%" });
  const place = (v) => 1.5 + 97 * ((v - least) / (most - least || 1));
  picture.append(draw("line", { class: "rule", x1: "0", x2: "100%", y1: 52, y2: 52 }));
  const many = new Map();
  for (const v of column) if (typeof v === "number") { const b = Math.round(place(v)); many.set(b, (many.get(b) ?? 0) + 1); }
  column.forEach((v, row) => {
    if (typeof v !== "number") return;
    const bin = Math.round(place(v)), k = bins.get(bin) ?? 0;
    bins.set(bin, k + 1);
    const step = Math.min(6, 44 / many.get(bin));
    const y = middle + (k % 2 ? 1 : -1) * Math.ceil(k / 2) * step;
    const dot = draw("circle", { class: v === 0 ? "silent" : "", cx: `${place(v)}%`, cy: y, r: 3.5 });
    dot.append(draw("title", {}, `${short(v)}  ${texts?.[row] ?? ""}`));
    picture.append(dot);
  });
  const zero = many.get(Math.round(place(0)));
  if (zero > 12) picture.append(draw("text", { x: `${place(0)}%`, dx: 10, y: 30 }, `${column.filter((v) => v === 0).length} silent`));
  const mid = median(column);
  if (mid !== null) picture.append(draw("line", { class: "median", x1: `${place(mid)}%`, x2: `${place(mid)}%`, y1: 1, y2: 52 }));
  picture.append(draw("text", { x: "0", y: 63 }, short(least)), draw("text", { x: "100%", y: 63, "text-anchor": "end" }, short(most)));
  return picture;
}

function tableOf(set, column, texts) {
  const rows = column.map((v, row) => [v, row]).sort((a, b) => (b[0] ?? -Infinity) - (a[0] ?? -Infinity));
  const body = make("tbody");
  for (const [v, row] of rows) {
    const value = v === undefined ? "no counted token" : v === null ? "not finite" : short(v);
    body.append(make("tr", {}, make("td", {}, value), make("th", { scope: "row", dir: "auto" }, texts?.[row] ?? `prompt ${row + 1}`)));
  }
  const head = make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "activation"), make("th", { scope: "col" }, "prompt")));
  return make("table", {}, make("caption", { class: "hidden" }, set.name), head, body);
}

function listing(set, column, texts) {
  const all = make("details", {}, make("summary", {}, `All ${set.n} prompts`));
  all.addEventListener("toggle", () => { if (all.open && all.children.length === 1) all.append(tableOf(set, column, texts)); });
  return all;
}

// Heat-maps: one prompt token by token ---------------------------------------------------------------------------

function tokens(prompt, top) {
  const line = make("p", { class: "tokens", dir: "auto" });
  const values = new Map(prompt.at.map((at, i) => [at, prompt.values[i]])), quiet = new Set(prompt.quiet);
  const sinks = new Set(prompt.sinks ?? []);
  if (prompt.before) line.append(`(${prompt.before} tokens) … `);
  prompt.tokens.forEach((text, at) => {
    const word = text.trimStart();
    const one = make("span", { class: "token" }, word || text);
    const note = [sinks.has(at) ? "attention sink" : "", quiet.has(at) ? "not counted" : ""].filter(Boolean).join(", ");
    if (quiet.has(at)) one.classList.add("quiet");
    if (note) one.title = note;
    if (values.has(at)) heat(one, values.get(at), top, note);
    if (word) line.append(text.slice(0, text.length - word.length));
    line.append(one);
  });
  if (prompt.after) line.append(` … (${prompt.after} tokens)`);
  return line;
}

function heat(one, value, top, note = "") {
  one.classList.add("fires");
  one.dataset.value = value;
  one.dataset.shown = short(value);
  one.title = note ? `${short(value)}, ${note}` : short(value);
  one.style.setProperty("--share", Math.max(0, Math.min(1, value / top)).toFixed(3));
}

function picture(prompt, top) {
  const side = Math.round(Math.sqrt(prompt.patches.length));
  const source = evidence().pictures[prompt.picture];
  const frame = make("div", { class: "frame" }), plain = make("div", { class: "frame" });
  const fires = prompt.patches.filter((v) => v).length;
  if (source?.startsWith("data:")) {
    frame.append(make("img", { src: source, alt: "" }));
    plain.append(make("img", { src: source, alt: "the picture itself" }));
  }
  const grid = make("div", { class: "patches", role: "img" });
  grid.setAttribute("aria-label", `fires on ${fires} of ${prompt.patches.length} patches, at most ${short(Math.max(0, ...prompt.patches))}`);
  grid.style.gridTemplate = `repeat(${side}, 1fr) / repeat(${side}, 1fr)`;
  for (const value of side * side === prompt.patches.length ? prompt.patches : []) {
    const patch = make("span", { class: "patch" });
    if (value) { heat(patch, value, top); if (side <= 6) patch.append(short(Number(value.toPrecision(3)))); }
    grid.append(patch);
  }
  frame.append(grid);
  const says = `fires on ${fires} of ${prompt.patches.length} patches` + (source && !source.startsWith("data:") ? `; ${source}` : "");
  const figures = plain.childElementCount ? [plain, frame] : [frame];
  return make("div", { class: "picture" }, ...figures, make("p", { class: "legend" }, says));
}

// A card is drawn when it is first opened ------------------------------------------------------------------------

function largest(card) {
  const prompts = [...card.sets.flatMap((set) => set.prompts), ...card.examples];
  const all = prompts.flatMap((p) => [...p.values.filter((_, i) => !p.quiet.includes(p.at[i])), ...(p.patches ?? [])]);
  return all.reduce((a, b) => Math.max(a, b ?? 0), 0) || 1;
}

function drawSet(set, least, most, top) {
  const texts = evidence().texts[set.set], column = columnOf(set), says = spelled(set, column);
  const name = set.subject ? `${set.name}, read by ${set.subject}` : set.name;
  const section = make("section", { class: "set" }, make("h4", { dir: "auto" }, `Activation on ${name}`), make("p", { class: "says" }, says));
  section.append(points(column, least, most, texts, `${name}: ${says}`));
  section.append(make("div", { class: "prompts" }, ...set.prompts.map((p) => box(p, column[p.row], top))));
  section.append(listing(set, column, texts));
  return section;
}

function box(prompt, pooled, top) {
  const value = pooled === undefined ? "" : ` ${short(pooled)}`;
  const one = make("div", { class: "prompt" }, make("p", { class: "says" }, make("b", {}, value), ` ${prompt.why}`));
  if (prompt.patches?.length) one.append(picture(prompt, top));
  one.append(prompt.tokens.length ? tokens(prompt, top) : make("p", { dir: "auto" }, prompt.text ?? ""));
  return one;
}

function fill(card) {
  const place = card.querySelector(".evidence");
  const known = evidence().cards[card.id];
  if (!known || place.childElementCount) return;
  const sets = known.sets;
  const all = sets.flatMap((set) => set.values).filter((v) => v !== null);
  const least = all.reduce((a, b) => Math.min(a, b), 0), most = all.reduce((a, b) => Math.max(a, b), 0) || 1;
  const top = largest(known);
  for (const set of sets) place.append(drawSet(set, least, most, top));
  if (!known.examples.length) return;
  const others = make("div", { class: "prompts" }, ...known.examples.map((p) => box(p, p.value ?? undefined, top)));
  place.append(make("section", { class: "set" }, make("h4", {}, "More prompts that bear on it"), others));
}

for (const card of cards) card.addEventListener("toggle", () => { if (card.open) fill(card); });

// Filter, search, order ------------------------------------------------------------------------------------------

const asked = { standing: new Set() };
const texts = new Map();

function textOf(card) {
  if (!texts.has(card)) texts.set(card, `${card.id} ${card.querySelector(".body").textContent} ${card.querySelector("summary").textContent}`.toLowerCase());
  return texts.get(card);
}

function matches(card, words) {
  const is = (name) => !find(name).value || card.dataset[name].split(", ").includes(find(name).value);
  const standing = !asked.standing.size || asked.standing.has(card.dataset.standing);
  return standing && is("suite") && is("subject") && is("kind") && words.every((word) => textOf(card).includes(word));
}

function filter() {
  const words = find("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  let n = 0;
  for (const card of cards) {
    card.hidden = !matches(card, words);
    n += card.hidden ? 0 : 1;
  }
  find("found").textContent = n === cards.length ? `${n} claims` : `${n} of ${cards.length} claims`;
  find("none").hidden = n > 0;
}

function order() {
  const by = find("order").value;
  const sorted = [...cards];
  if (by === "null") sorted.sort((a, b) => b.dataset.null - a.dataset.null);
  if (by === "file") sorted.sort((a, b) => a.dataset.place - b.dataset.place);
  find("list").append(...sorted);
}

function clear() {
  find("filters").reset();
  asked.standing.clear();
  for (const tile of document.querySelectorAll(".tile")) tile.setAttribute("aria-pressed", "false");
  order();
  filter();
}

for (const tile of document.querySelectorAll(".tile")) {
  tile.addEventListener("click", () => {
    const now = tile.getAttribute("aria-pressed") !== "true";
    tile.setAttribute("aria-pressed", String(now));
    asked.standing[now ? "add" : "delete"](tile.dataset.standing);
    filter();
  });
}
find("filters").addEventListener("input", filter);
find("filters").addEventListener("submit", (event) => event.preventDefault());
find("order").addEventListener("change", order);
find("clear").addEventListener("click", clear);
find("all").addEventListener("click", () => { for (const card of shown()) card.open = true; });

// Keys -----------------------------------------------------------------------------------------------------------

const shown = () => [...document.querySelectorAll(".card:not([hidden])")];

function move(step) {
  const list = shown(), here = list.indexOf(document.activeElement.closest(".card"));
  const next = list[here < 0 ? (step > 0 ? 0 : list.length - 1) : Math.max(0, Math.min(list.length - 1, here + step))];
  next?.querySelector("summary").focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === "Escape") { clear(); document.activeElement.blur(); }
  else if (typing) return;
  else if (event.key === "/") { event.preventDefault(); find("search").focus(); }
  else if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
});

// Theme, copying, links to a claim, printing ---------------------------------------------------------------------

const THEMES = ["system", "light", "dark"];

function theme(name) {
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  find("theme").textContent = `Theme: ${name}`;
  find("theme").setAttribute("aria-label", `Theme: ${name === "system" ? "as the system says" : name}`);
  try { localStorage.setItem("interp-theme", name); } catch { /* a page from disk may have no storage */ }
}

find("theme").addEventListener("click", () => {
  theme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme ?? "system") + 1) % 3]);
});
try { const kept = localStorage.getItem("interp-theme"); if (THEMES.includes(kept)) theme(kept); } catch { /* as above */ }

document.addEventListener("click", async (event) => {
  if (!event.target.matches(".copy")) return;
  const code = event.target.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
    event.target.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(code);
    event.target.textContent = "Selected";
  }
});

function named() {
  try { return decodeURIComponent(location.hash.slice(1)); } catch { return ""; } // typed by hand, and no address
}

function openNamed() {
  const card = document.getElementById(named());
  if (!card?.matches(".card")) return;
  if (card.hidden) clear();
  card.open = true;
  card.querySelector("summary").focus({ preventScroll: true });
  // The cards above are given their true heights while they scroll by, so the first jump may miss.
  card.scrollIntoView();
  requestAnimationFrame(() => requestAnimationFrame(() => card.scrollIntoView()));
}

addEventListener("hashchange", openNamed);
openNamed();

let closedBefore = [];
addEventListener("beforeprint", () => {
  closedBefore = [...document.querySelectorAll("details.card:not([open]), details.panel:not([open])")];
  for (const one of closedBefore) { one.open = true; if (one.matches(".card")) fill(one); }
});
addEventListener("afterprint", () => { for (const one of closedBefore) one.open = false; });
