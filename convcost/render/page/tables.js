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
