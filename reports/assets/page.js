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

/* Sortable tables: numbers by exact value, largest first; text alphabetically. */
const sortKey = (cell) => {
  const number = cell.querySelector("data");
  if (!number) return cell.dataset.key || cell.textContent;
  return number.value.length > 15 && !number.value.includes(".") ? BigInt(number.value) : Number(number.value);
};
const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

function sortable(table, onSort) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const numeric = [...table.tBodies[0].rows].some((row) => row.cells[column].querySelector("data"));
      const now = head.getAttribute("aria-sort");
      const next = numeric ? { null: "descending", descending: "ascending" }[now] : { null: "ascending", ascending: "descending" }[now];
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      if (next) head.setAttribute("aria-sort", next);
      if (onSort) return onSort(column, next);
      const rows = [...table.tBodies[0].rows];
      rows.forEach((row, place) => (row.dataset.place ??= place));
      if (!next) rows.sort((a, b) => a.dataset.place - b.dataset.place);
      else {
        const way = next === "ascending" ? 1 : -1;
        const keyed = rows.map((row) => [sortKey(row.cells[column]), row]);
        /* Cells without a number are last in both directions. */
        keyed.sort(([a], [b]) => (a === "" || b === "" ? (a === "") - (b === "") : way * compare(a, b)));
        rows.splice(0, rows.length, ...keyed.map(([, row]) => row));
      }
      table.tBodies[0].append(...rows);
    });
  });
}
document.querySelectorAll("table.networks").forEach((table) => sortable(table));

/* The table of layers (its rows are CSS grids, so the ARIA roles are explicit): sorting, filters by text and group, sums over the visible layers. */
const COLUMNS = [
  ["name", "Layer"], ["op", "Op"], ["output", "Output"], ["params", "Params"], ["macs", "MACs"],
  ["flops", "FLOPs"], ["activation_bytes", "Activations"], ["bytes_read", "Read"], ["bytes_written", "Written"], ["field", "Receptive field"],
];
const summed = (key) => data.quantities.includes(key);

function layerTable() {
  const table = $("layers");
  const layers = data.layers;
  const count = layers.name.length;
  const raw = data.numbers.raw;
  const most = Object.fromEntries(data.quantities.map((key) => [key, Number(raw[Math.max(0, ...layers[key])] || 0)]));
  table.tHead.innerHTML = `<tr role="row">${COLUMNS.map(([key, head]) => `<th role="columnheader" scope="col" data-key="${key}">${head}</th>`).join("")}</tr>`;
  const cell = (key, layer) => {
    if (key === "name") {
      const name = esc(layers.name[layer]);
      return `<th role="rowheader" scope="row" title="${name.slice(0, 1000)}"><button type="button" data-layer="${layer}">${name}</button></th>`;
    }
    if (key === "op") return `<td role="cell" title="${esc(layers.fields[layer]).slice(0, 1000)}"><span class="group" style="--own:${data.colours[layers.group[layer]]}">${esc(layers.op[layer])}</span></td>`;
    if (!summed(key)) return `<td role="cell" title="${esc(layers[key][layer]).slice(0, 1000)}">${esc(layers[key][layer])}</td>`;
    const place = layers[key][layer];
    const share = most[key] && ["params", "macs", "activation_bytes"].includes(key) ? Number(raw[place]) / most[key] : 0;
    return `<td role="cell"${share ? ` style="--share:${(100 * share).toFixed(2)}%"` : ""}>${numberHtml(place, key)}</td>`;
  };
  const html = [];
  for (let layer = 0; layer < count; layer++) html.push(`<tr role="row" data-layer="${layer}">${COLUMNS.map(([key]) => cell(key, layer)).join("")}</tr>`);
  table.tBodies[0].innerHTML = html.join("");
  const rows = [...table.tBodies[0].rows];

  const groups = [...new Set(layers.group)];
  const hidden = new Set();
  $("chips").innerHTML = groups
    .map((group) => `<button type="button" aria-pressed="true" data-of="${group}"><span class="group" style="--own:${data.colours[group]}">${group}</span></button>`)
    .join("");
  const texts = rows.map((_, layer) => ["name", "op", "fields", "output"].map((key) => layers[key][layer]).join(" ").toLowerCase());
  const filter = () => {
    const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const kept = [];
    rows.forEach((row, layer) => {
      const keep = !hidden.has(layers.group[layer]) && words.every((word) => texts[layer].includes(word));
      if (row.hidden === keep) row.hidden = !keep;
      if (keep) kept.push(layer);
    });
    $("found").textContent = kept.length === count ? `${count} layers` : `${kept.length} of ${count} layers`;
    const sum = (key) => kept.reduce((total, layer) => total + BigInt(raw[layers[key][layer]]), 0n);
    const cells = COLUMNS.slice(1).map(([key]) => {
      if (!summed(key)) return '<td role="cell"></td>';
      const total = sum(key);
      const place = raw.indexOf(String(total));
      return `<td role="cell">${place >= 0 ? numberHtml(place, key) : `<data value="${total}">${total.toLocaleString("en-US")}</data>`}</td>`;
    });
    table.tFoot.innerHTML = `<tr role="row"><th role="rowheader" scope="row">${kept.length === count ? "total" : "shown"}</th>${cells.join("")}</tr>`;
  };
  $("filter").addEventListener("input", filter);
  $("chips").addEventListener("click", (event) => {
    const chip = event.target.closest("button");
    if (!chip) return;
    const off = chip.getAttribute("aria-pressed") === "true";
    hidden[off ? "add" : "delete"](chip.dataset.of);
    chip.setAttribute("aria-pressed", !off);
    filter();
  });
  sortable(table, (column, way) => {
    const key = COLUMNS[column][0];
    const order = rows.map((_, layer) => layer);
    /* Places in the list of numbers are in the order of the numbers. */
    if (way) order.sort((a, b) => (way === "ascending" ? 1 : -1) * compare(layers[key][a], layers[key][b]) || a - b);
    table.tBodies[0].append(...order.map((layer) => rows[layer]));
  });
  table.tBodies[0].addEventListener("click", (event) => {
    const button = event.target.closest("button[data-layer]");
    if (button) document.dispatchEvent(new CustomEvent("choose", { detail: { layer: Number(button.dataset.layer), go: true } }));
  });
  filter();
}
if (data.layers) layerTable();
mark("table");

/* Computes positions in pixels from rows and lanes. Blocks are laid out from the inside out, so closing one is cheap. */
const BOX = { w: 236, h: 46 }, PILL = { w: 170, h: 24 }, PORT = { w: 10, h: 8 }, LANE = { w: 14, h: 0 };
const GAP_X = 22, GAP_Y = 26, PAD = 14, HEAD = 30, SWEEPS = 10;

/* Positions as close as possible to the wanted ones, in order and without overlap: isotonic regression by pooling. */
function settle(wanted, weights, widths) {
  const offsets = [];
  let at = 0;
  widths.forEach((width, k) => {
    at += k ? (widths[k - 1] + width) / 2 + GAP_X : 0;
    offsets.push(at);
  });
  const pools = [];
  wanted.forEach((x, k) => {
    pools.push({ mean: x - offsets[k], weight: weights[k], size: 1 });
    while (pools.length > 1 && pools.at(-2).mean > pools.at(-1).mean) {
      const last = pools.pop(), before = pools.at(-1);
      before.mean = (before.mean * before.weight + last.mean * last.weight) / (before.weight + last.weight);
      before.weight += last.weight;
      before.size += last.size;
    }
  });
  const found = [];
  for (const pool of pools) for (let k = 0; k < pool.size; k++) found.push(pool.mean + offsets[found.length]);
  return found;
}

function layOut(blocks, open, index, root = true) {
  const block = blocks[index];
  if (!block.kids || !open.has(index)) return { index, ...BOX };
  const items = block.items.map(([kind, which]) => {
    if (kind === "child") return { kind, ...layOut(blocks, open, which, false) };
    if (kind === "lane") return { kind, which, ...LANE };
    return { kind, which, ...(root ? PILL : PORT) };
  });
  const above = items.map(() => []), below = items.map(() => []);
  for (const [from, to, value] of block.segments) {
    above[to].push([from, value]);
    below[from].push([to, value]);
  }
  for (const row of block.rows) {
    const width = row.reduce((sum, item) => sum + items[item].w + GAP_X, -GAP_X);
    let x = -width / 2;
    for (const item of row) {
      items[item].x = x + items[item].w / 2;
      x += items[item].w + GAP_X;
    }
  }
  const sideways = (neighbours, way) => {
    const rows = way > 0 ? block.rows : [...block.rows].reverse();
    for (const row of rows) {
      const wanted = [], weights = [];
      for (const item of row) {
        const near = neighbours[item];
        const lanes = near.filter(([other]) => items[other].kind === "lane");
        const straight = items[item].kind === "lane" && lanes.length ? lanes : near;
        const at = ([other, value]) => items[other].x + (way > 0 ? leaves(items[other], value) : enters(items[other], value));
        const own = (value) => (way > 0 ? enters(items[item], value) : leaves(items[item], value));
        wanted.push(near.length ? straight.reduce((sum, one) => sum + at(one) - own(one[1]), 0) / straight.length : items[item].x);
        weights.push(!near.length ? 0.01 : items[item].kind === "lane" && lanes.length ? 8 : 1);
      }
      settle(wanted, weights, row.map((item) => items[item].w)).forEach((x, k) => (items[row[k]].x = x));
    }
  };
  for (let sweep = 0; sweep < SWEEPS; sweep++) sideways(sweep % 2 ? below : above, sweep % 2 ? -1 : 1);
  let left = Infinity, right = -Infinity;
  for (const item of items) {
    left = Math.min(left, item.x - item.w / 2);
    right = Math.max(right, item.x + item.w / 2);
  }
  const width = Math.max(right - left, root ? 0 : 150) + 2 * PAD;
  const shift = (width - (right - left)) / 2 - left;
  let y = root ? 4 : HEAD;
  const ports = { in: {}, out: {} };
  for (const row of block.rows) {
    const height = Math.max(...row.map((item) => items[item].h));
    for (const item of row) {
      items[item].x += shift;
      items[item].y = y;
      items[item].row = height;
      if (items[item].kind in ports) ports[items[item].kind][items[item].which] = items[item].x - width / 2;
    }
    y += height + (root || items[row[0]].kind === "child" || row.length > 1 ? GAP_Y : 14);
  }
  return { index, items, ports, segments: block.segments, w: width, h: y - GAP_Y + (root ? 8 : PAD + 8) };
}
/* Offset from the centre of a box at which a value leaves or enters it; the port if the box is open. */
const leaves = (item, value) => item.ports?.out[value] ?? 0;
const enters = (item, value) => item.ports?.in[value] ?? 0;

/* The architecture diagram: boxes can be opened, selected and navigated; it is redrawn when a box opens or closes. */
function drawDiagram() {
  const { blocks, inputs } = data.diagram;
  const layers = data.layers;
  const open = new Set(data.diagram.open);
  const svg = $("drawing"), scroll = $("scroll");
  const place = (key) => data.quantities.indexOf(key);
  let chosen = -1, focused = -1, zoom = 1, size = { w: 1, h: 1 }, heat = "macs", order = [];
  const parent = [];
  blocks.forEach((block, index) => (block.kids || []).forEach((kid) => (parent[kid] = index)));
  const leafOf = [];
  blocks.forEach((block, index) => block.kids || (leafOf[block.start] = index));

  const elide = (text, most) => (text.length > most ? `${text.slice(0, most / 3)}…${text.slice(-(most - most / 3 - 1))}` : text);
  const sum = (block, key) => block.sums[place(key)];
  const told = (block) => {
    const last = block.stop - 1;
    const output = layers.output[last].replace(/^\d+x/, "");
    const few = block.stop - block.start <= 3 && layers.op.slice(block.start, block.stop).join(", ");
    return `${few && few.length <= 22 ? few : `${block.stop - block.start} layers`} · ${output}`;
  };

  function box(index, item, x, y) {
    const block = blocks[index];
    const spread = item.items;
    const label = `${block.label}, ${told(block)}, ${numberText(sum(block, heat), heat)} ${heat}`;
    const state = block.kids ? ` aria-expanded="${Boolean(spread)}"` : "";
    const classes = `box${spread ? " open" : ""}${index === chosen ? " chosen" : ""}`;
    const most = Number(data.numbers.raw[heaviest[heat]]) || 1;
    const share = Number(data.numbers.raw[sum(block, heat)]) / most;
    order.push(index);
    const fold = block.kids ? `<path class="fold" data-fold="1" d="${spread ? "M8 11h12l-6 8z" : "M10 9v12l8-6z"}"><title>${spread ? "close" : "open"}</title></path><rect data-fold="1" x="2" y="2" width="24" height="26" fill="transparent"/>` : "";
    const colour = data.colours[block.group];
    const face = `<rect class="face" width="${item.w}" height="${item.h}" rx="8"/>`;
    const head = `<text x="${block.kids ? 26 : 14}" y="19">${esc(elide(block.label, spread ? Math.max(10, item.w / 9) : 24))}</text>`;
    const rest = spread
      ? ""
      : `<rect x="0" y="8" width="4" height="${item.h - 16}" rx="2" fill="${colour}"/><text class="sub" x="${block.kids ? 26 : 14}" y="35">${esc(elide(told(block), 34))}</text>` +
        `<text class="sum" x="${item.w - 10}" y="18">${esc(Number(data.numbers.raw[sum(block, heat)]) ? numberText(sum(block, heat), heat) : "")}</text>` +
        `<rect class="track" x="14" y="${item.h - 5}" width="${item.w - 28}" height="2"/>` +
        (share ? `<rect x="14" y="${item.h - 5.5}" width="${Math.max(1.5, (item.w - 28) * share).toFixed(1)}" height="3" rx="1.5" fill="${colour}"/>` : "");
    return `<g class="${classes}" role="treeitem" tabindex="-1" data-box="${index}" aria-label="${esc(elide(label, 200))}"${state} transform="translate(${x.toFixed(1)} ${y.toFixed(1)})">${face}${fold}${head}${rest}${spread ? inside(item, false) : ""}</g>`;
  }

  /* Lines are drawn first, so that boxes cover them. */
  function inside(laid, root) {
    const { items, segments } = laid;
    const bottom = (item) => (item.kind === "lane" ? item.y + item.row : item.y + item.h);
    const lines = segments.map(([from, to, value]) => {
      const a = items[from], b = items[to];
      const x1 = a.x + leaves(a, value), x2 = b.x + enters(b, value), y1 = bottom(a), y2 = b.y;
      const middle = Math.max(8, Math.min(40, (y2 - y1) / 2));
      const run = Math.abs(x1 - x2) < 0.8 ? `V${y2}` : `C${x1.toFixed(1)} ${y1 + middle},${x2.toFixed(1)} ${y2 - middle},${x2.toFixed(1)} ${y2}`;
      const tip = b.kind === "lane" ? `V${(y2 + b.row).toFixed(1)}` : "";
      const arrow = b.kind === "child" ? `<path class="tip" d="M${x2.toFixed(1)} ${y2}l-3.5 -6h7z"/>` : "";
      return `<path class="line" d="M${x1.toFixed(1)} ${y1}${run}${tip}"/>${arrow}`;
    });
    const shapes = items.map((item) => {
      if (item.kind === "child") return box(item.index, item, item.x - item.w / 2, item.y);
      if (item.kind === "lane") return "";
      if (!root) return `<circle class="port" cx="${item.x.toFixed(1)}" cy="${item.y + (item.kind === "in" ? 1 : item.h - 1)}" r="3"/>`;
      const text = item.kind === "in" ? inputs[-1 - item.which] : "output";
      return `<g class="end" transform="translate(${(item.x - item.w / 2).toFixed(1)} ${item.y})"><rect width="${item.w}" height="${item.h}" rx="12"/><text x="${item.w / 2}" y="16" text-anchor="middle">${esc(elide(text, 28))}</text></g>`;
    });
    return lines.join("") + shapes.join("");
  }

  const heaviest = {};
  function draw() {
    for (const key of data.quantities) {
      heaviest[key] = 0;
      const visit = (index) => {
        if (blocks[index].kids && open.has(index)) blocks[index].kids.forEach(visit);
        else heaviest[key] = Math.max(heaviest[key], sum(blocks[index], key));
      };
      visit(0);
    }
    open.add(0);
    order = [];
    const laid = layOut(blocks, open, 0);
    size = { w: laid.w, h: laid.h };
    svg.innerHTML = laid.items ? inside(laid, true) : box(0, laid, 0, 0);
    svg.setAttribute("viewBox", `0 0 ${size.w} ${size.h}`);
    resize();
    if (focused < 0 || !order.includes(focused)) focused = order[0];
    element(focused)?.setAttribute("tabindex", "0");
  }
  const element = (index) => svg.querySelector(`[data-box="${index}"]`);
  const resize = () => {
    svg.setAttribute("width", size.w * zoom);
    svg.setAttribute("height", size.h * zoom);
    svg.dataset.zoom = zoom.toFixed(3);
  };
  function zoomTo(next, clientX, clientY) {
    const area = scroll.getBoundingClientRect();
    const px = (clientX ?? area.left + area.width / 2) - area.left, py = (clientY ?? area.top + area.height / 2) - area.top;
    const before = zoom;
    zoom = Math.min(4, Math.max(0.05, next));
    const x = scroll.scrollLeft + px, y = scroll.scrollTop + py;
    resize();
    scroll.scrollLeft = (x * zoom) / before - px;
    scroll.scrollTop = (y * zoom) / before - py;
  }
  function toggle(index, state) {
    if (!blocks[index].kids || !index) return;
    const was = element(index)?.getBoundingClientRect();
    if (state ?? !open.has(index)) open.add(index);
    else open.delete(index);
    draw();
    focus(index, false);
    const now = element(index)?.getBoundingClientRect();
    if (was && now) scroll.scrollTop += now.top - was.top;
  }
  function focus(index, visible = true) {
    element(focused)?.setAttribute("tabindex", "-1");
    focused = index;
    const one = element(index);
    one?.setAttribute("tabindex", "0");
    one?.focus({ preventScroll: true });
    if (visible && one) reveal(one);
  }
  function reveal(one) {
    const area = scroll.getBoundingClientRect(), face = one.querySelector(".face").getBoundingClientRect();
    if (face.top < area.top + 10 || face.top + 40 > area.bottom) scroll.scrollTop += face.top - area.top - area.height / 3;
    if (face.left < area.left || face.right > area.right) scroll.scrollLeft += face.left + face.width / 2 - area.left - area.width / 2;
  }
  function choose(index, go) {
    for (let above = parent[index]; above !== undefined; above = parent[above])
      if (!open.has(above)) open.add(above), (go = go || "drawn");
    element(chosen)?.classList.remove("chosen");
    chosen = index;
    if (go) draw();
    element(index)?.classList.add("chosen");
    explain(blocks[index], index);
    if (go) {
      scroll.scrollIntoView({ block: "nearest" });
      focus(index);
    }
  }

  function explain(block, index) {
    const group = block.group;
    const own = block.start;
    const name = block.kids ? block.label : layers.name[own];
    const head = `<h3><span class="group" style="--own:${data.colours[group]}">${esc(name)}</span></h3>`;
    if (block.kids) {
      const rows = data.quantities.map((key) => `<tr><th scope="row">${key.replaceAll("_", " ")}</th><td>${numberHtml(sum(block, key), key)}</td></tr>`);
      const kids = block.kids.map((kid) => `<li><button type="button" data-go="${kid}">${esc(elide(blocks[kid].label, 40))}</button></li>`).join("");
      $("told").innerHTML = `${head}<p class="hint">A block of ${block.stop - block.start} layers, ${esc(layers.name[own])} to ${esc(layers.name[block.stop - 1])}.</p><table><caption class="unseen">Sums</caption><tbody>${rows.join("")}</tbody></table><ul class="chips" style="list-style:none;padding:0;margin:12px 0">${kids}</ul>`;
      return;
    }
    const from = layers.sources[own].map((source) => (source < 0 ? esc(inputs[-1 - source]) : esc(elide(layers.name[source], 60))));
    const shares = layers.shares[own] === null ? "" : `<p class="hint">Uses the weights of ${esc(layers.shares[own])}.</p>`;
    const rows = data.told[own].map((step) => {
      const [label, formula, substitution, value] = data.steps[step];
      return `<tr><th scope="row">${esc(label)}<div class="how">${esc(formula)}${substitution && formula ? " = " : ""}${esc(substitution)}</div></th><td>${esc(value)}</td></tr>`;
    });
    $("told").innerHTML = `${head}<p class="fields">${esc(layers.op[own])}(${esc(layers.fields[own])})</p><p class="hint">${esc(layers.input[own])} → ${esc(layers.output[own])}; reads ${from.join(", ") || "nothing"}</p>${shares}<table><caption class="unseen">Arithmetic</caption><tbody>${rows.join("")}</tbody></table>`;
  }

  svg.addEventListener("click", (event) => {
    const one = event.target.closest("[data-box]");
    if (!one) return;
    const index = Number(one.dataset.box);
    if (event.target.closest("[data-fold]")) return toggle(index);
    focus(index, false);
    choose(index);
  });
  svg.addEventListener("dblclick", (event) => {
    const one = event.target.closest("[data-box]");
    if (one && !event.target.closest("[data-fold]")) toggle(Number(one.dataset.box));
  });
  svg.addEventListener("keydown", (event) => {
    const at = order.indexOf(focused);
    const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const block = blocks[focused];
    if (move && order[at + move] !== undefined) focus(order[at + move]);
    else if (event.key === "Home" || event.key === "End") focus(order.at(event.key === "Home" ? 0 : -1));
    else if (event.key === "ArrowRight" && block.kids) open.has(focused) ? focus(order[at + 1]) : toggle(focused, true);
    else if (event.key === "ArrowLeft") block.kids && open.has(focused) ? toggle(focused, false) : parent[focused] && focus(parent[focused]);
    else if (event.key === "Enter" || event.key === " ") choose(focused);
    else if (event.key === "+" || event.key === "=") zoomTo(zoom * 1.25);
    else if (event.key === "-") zoomTo(zoom / 1.25);
    else return;
    event.preventDefault();
  });
  scroll.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return; /* a plain wheel scrolls */
    event.preventDefault();
    zoomTo(zoom * Math.exp(-event.deltaY / 300), event.clientX, event.clientY);
  }, { passive: false });
  let drag = null;
  scroll.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "mouse" && event.button === 0 && !event.target.closest(".box:not(.open)")) drag = [event.clientX + scroll.scrollLeft, event.clientY + scroll.scrollTop];
  });
  addEventListener("pointermove", (event) => {
    if (!drag) return;
    scroll.classList.add("drag");
    scroll.scrollLeft = drag[0] - event.clientX;
    scroll.scrollTop = drag[1] - event.clientY;
  });
  addEventListener("pointerup", () => {
    drag = null;
    scroll.classList.remove("drag");
  });
  const all = (state) => {
    open.clear();
    if (state) blocks.forEach((block, index) => block.kids && open.add(index));
    draw();
  };
  const actions = {
    in: () => zoomTo(zoom * 1.25), out: () => zoomTo(zoom / 1.25), one: () => zoomTo(1),
    fit: () => zoomTo(Math.min((scroll.clientWidth - 8) / size.w, (scroll.clientHeight - 8) / size.h)),
    open: () => all(true), close: () => all(false),
  };
  document.querySelectorAll("[data-do]").forEach((button) => button.addEventListener("click", () => actions[button.dataset.do]()));
  $("heat").addEventListener("change", (event) => {
    heat = event.target.value;
    draw();
  });
  $("told").addEventListener("click", (event) => {
    const go = event.target.closest("[data-go]");
    if (go) choose(Number(go.dataset.go), true);
  });
  document.addEventListener("choose", (event) => choose(leafOf[event.detail.layer], event.detail.go));
  draw();
  if (size.w > scroll.clientWidth) zoomTo(Math.max(0.5, (scroll.clientWidth - 8) / size.w));
  scroll.scrollLeft = (scroll.scrollWidth - scroll.clientWidth) / 2;
  scroll.scrollTop = 0;
  const weightiest = layers.macs.indexOf(Math.max(...layers.macs));
  if (leafOf[weightiest] !== undefined) explain(blocks[leafOf[weightiest]]);
}
if (data.diagram) drawDiagram();
mark("diagram");
document.documentElement.dataset.ready = "tables";

/* The treemap, drawn from the plotly figure without plotly: it is faster, and works by keyboard. */
const MOST_BOXES = 160, HEAD_HEIGHT = 20, BAR_HEIGHT = 34;

/* Boxes of these areas, as square as possible: rows along the shorter side (Bruls, Huizing and van Wijk). */
function squarify(values, x, y, w, h) {
  const found = [];
  let rest = values.reduce((sum, value) => sum + value, 0), at = 0;
  while (at < values.length) {
    const scale = (w * h) / rest, side = Math.min(w, h);
    let sum = 0, worst = Infinity, end = at;
    for (; end < values.length; end++) {
      const thick = ((sum + values[end]) * scale) / side;
      const aspect = Math.max((values[at] * scale) / thick ** 2, thick ** 2 / (values[end] * scale));
      if (aspect > worst) break;
      worst = aspect;
      sum += values[end];
    }
    const thick = (sum * scale) / side;
    for (let along = 0; at < end; at++) {
      const length = (values[at] * scale) / thick;
      found.push(w < h ? [x + along, y, length, thick] : [x, y + along, thick, length]);
      along += length;
    }
    rest -= sum;
    if (w < h) (y += thick), (h -= thick);
    else (x += thick), (w -= thick);
  }
  return found;
}

function drawTree(plot, chart) {
  const whole = chart.figure.data[0];
  const above = whole.parents.map((parent) => (parent === "" ? -1 : Number(parent)));
  const enterable = new Set(above);
  const height = chart.figure.layout.height - BAR_HEIGHT;
  let view = chart.views[0].traces[0], root = 0, focused = 0;
  plot.setAttribute("role", "group");
  plot.innerHTML = `<div class="crumbs"></div><div class="boxes" style="height:${height}px"></div>`;
  const [crumbs, area] = plot.children;

  /* What plotly would say over a box. */
  const told = (own) => {
    const exact = view.hovertext ? view.hovertext[own] : view.values[own].toLocaleString("en-US");
    const said = { "label": whole.labels[own], "value:,": exact, "hovertext": exact, "text": view.text[own] };
    return view.hovertemplate.replace(/<extra>.*/, "").replace(/%\{(.+?)\}/g, (_, key) => said[key]).replaceAll("<br>", ", ");
  };
  const tell = (own) => {
    const path = [];
    for (let up = above[root]; up >= 0; up = above[up]) path.unshift(`<button type="button" data-own="${up}">${whole.labels[up]}</button> › `);
    crumbs.innerHTML = `${path.join("")}<span>${told(own)}</span>`;
  };

  function inView(width) {
    const kids = above.map(() => []);
    above.forEach((parent, own) => parent >= 0 && view.values[own] && kids[parent].push(own));
    let level = kids[root], count = level.length, depth = 1;
    for (;; depth++) {
      level = level.flatMap((own) => kids[own]);
      count += level.length;
      if (!level.length || count > MOST_BOXES) break;
    }
    const boxes = [];
    const lay = (own, deep, x, y, w, h) => {
      const inner = deep < depth && kids[own].length && w > 24 && h > HEAD_HEIGHT + 14;
      boxes.push([own, inner, x, y, w, h]);
      if (!inner) return;
      const list = kids[own].sort((a, b) => view.values[b] - view.values[a]);
      const places = squarify(list.map((kid) => view.values[kid]), x + 2, y + HEAD_HEIGHT, w - 4, h - HEAD_HEIGHT - 2);
      list.forEach((kid, place) => lay(kid, deep + 1, ...places[place]));
    };
    lay(root, 0, 0, 0, width, height);
    return boxes;
  }
  function draw() {
    while (root && !view.values[root]) root = above[root];
    const drawn = inView(plot.clientWidth);
    if (!drawn.some(([own]) => own === focused)) focused = root;
    area.innerHTML = drawn
      .map(([own, inner, x, y, w, h]) => {
        const group = whole.customdata[own];
        const lines = w < 40 || h < 16 ? "" : inner ? whole.labels[own] : `<b>${whole.labels[own]}</b>${h > 50 && w > 52 ? `<br>${view.text[own]}` : ""}`;
        const place = [x, y, Math.max(1, w - 1), Math.max(1, h - 1)].map((length) => length.toFixed(1));
        /* Labels are HTML already, but for their quotes. */
        const said = told(own).replace(/<[^>]*>/g, "").replaceAll('"', "&quot;");
        return `<button type="button" aria-label="${said}" class="cell${inner ? " frame" : w < 84 ? " small" : ""}" data-own="${own}" tabindex="${own === focused ? 0 : -1}" style="left:${place[0]}px;top:${place[1]}px;width:${place[2]}px;height:${place[3]}px;--own:${data.colours[group]};color:${inner ? "" : data.inks[group]}"><span>${lines}</span></button>`;
      })
      .join("");
    tell(focused);
    plot.data = [{ ...whole, ...view }]; /* where plotly keeps its traces */
  }
  const cells = () => [...area.children];
  const cell = (own) => area.querySelector(`[data-own="${own}"]`);
  function focus(own) {
    cell(focused)?.setAttribute("tabindex", "-1");
    focused = own;
    cell(own).setAttribute("tabindex", "0");
    cell(own).focus();
  }
  /* Into a block; the outermost box leads back. */
  function enter(own) {
    const next = own === root ? Math.max(0, above[root]) : enterable.has(own) ? own : root;
    if (next === root) return;
    focused = own === root ? root : next;
    root = next;
    draw();
    focus(focused);
  }
  plot.addEventListener("click", (event) => {
    const one = event.target.closest("[data-own]");
    if (one) enter(Number(one.dataset.own));
  });
  for (const kind of ["pointerover", "focusin"])
    area.addEventListener(kind, (event) => {
      const one = event.target.closest("[data-own]");
      if (one) tell(Number(one.dataset.own));
    });
  area.addEventListener("pointerleave", () => tell(focused));
  area.addEventListener("keydown", (event) => {
    const all = cells(), at = all.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (event.key === "Escape" || event.key === "Backspace") enter(root);
    else if (to === undefined) return;
    else if (all[to]) focus(Number(all[to].dataset.own));
    event.preventDefault();
  });
  let width = plot.clientWidth;
  new ResizeObserver(() => width !== plot.clientWidth && ((width = plot.clientWidth), draw())).observe(plot);
  draw();
  return Promise.resolve((look) => {
    view = look.traces[0];
    draw();
  });
}

/* Charts are drawn one after another while the browser is idle, so that the page responds from the start. */
const settings = { responsive: true, displaylogo: false, modeBarButtons: [["toImage", "resetScale2d"]] };
const idle = window.requestIdleCallback || ((act) => setTimeout(act, 30));

/* On a narrow screen: fewer tick labels, smaller circles, and no legend if a table shows the colours. */
function fitted(layout, width) {
  const { tickvals, ticktext } = layout.xaxis || {};
  const few = ticktext ? Math.ceil((tickvals.length * 15) / width) : 1;
  if (few === 1) return layout;
  const kept = (list) => list.filter((_, place) => place % few === 0);
  return { ...layout, xaxis: { ...layout.xaxis, tickvals: kept(tickvals), ticktext: kept(ticktext) } };
}

/* The traces with the attributes of the first view; a key with a dot changes part of an existing attribute. */
const whole = ({ figure, views }) =>
  figure.data.map((trace, place) => ({ ...trace, ...Object.fromEntries(Object.entries(views[0]?.traces[place] || {}).filter(([key]) => !key.includes("."))) }));

/* Draws a chart; resolves to a function that switches its view. */
function drawBars(plot, chart) {
  const layout = fitted(chart.figure.layout, plot.clientWidth);
  if (plot.clientWidth <= 560 && chart.key === "split") layout.showlegend = false;
  const traces = whole(chart);
  for (const { marker } of traces) if (marker?.sizeref) marker.sizeref *= Math.max(1, (700 / plot.clientWidth) ** 2);
  return Plotly.newPlot(plot, traces, layout, settings).then(() => {
    plot.querySelector(".modebar").setAttribute("aria-label", "Tools of the chart");
    for (const button of plot.querySelectorAll(".modebar-btn")) button.setAttribute("aria-label", button.dataset.title);
    return (view) => {
      const restyle = {};
      for (const key of Object.keys(view.traces[0] || {})) restyle[key] = view.traces.map((trace) => trace[key]);
      Plotly.update(plot, restyle, view.layout);
    };
  });
}

function drawChart(chart) {
  const figure = document.querySelector(`[data-chart="${chart.key}"]`);
  const plot = figure.querySelector(".plot");
  return (chart.key === "tree" ? drawTree : drawBars)(plot, chart).then((show) => {
    figure.dataset.drawn = plot.data.length;
    const buttons = [...figure.querySelectorAll("[data-view]")];
    buttons.forEach((button) =>
      button.addEventListener("click", () => {
        buttons.forEach((other) => other.setAttribute("aria-pressed", other === button));
        show(chart.views[button.dataset.view]);
      })
    );
  });
}

addEventListener("load", () => {
  const waiting = [...data.charts];
  const next = () => {
    const chart = waiting.shift();
    if (!chart) {
      document.documentElement.dataset.ready = "charts";
      return mark("charts");
    }
    drawChart(chart).then(() => idle(next, { timeout: 200 }));
  };
  idle(next, { timeout: 200 });
});
