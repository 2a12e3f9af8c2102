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
