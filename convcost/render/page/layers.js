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
