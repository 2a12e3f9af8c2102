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
