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
