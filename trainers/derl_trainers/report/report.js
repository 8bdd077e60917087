"use strict";
// Without it all tables are there, unsorted and unfiltered.
const value = cell => cell.dataset.v !== undefined ? Number(cell.dataset.v)
  : cell.classList.contains("num") && !cell.textContent.trim() ? null : cell.textContent.trim();
function sort(table, column, down) {
  const body = table.tBodies[0];
  const rows = Array.from(body.rows).map(row => [value(row.cells[column]), row]);
  rows.sort(([a], [b]) => {
    const [noA, noB] = [a === null || a === "", b === null || b === ""];
    if (noA || noB) return noA - noB;
    const order = typeof a === "number" && typeof b === "number" ? a - b
      : String(a).localeCompare(String(b), "en", {numeric: true});
    return down ? -order : order;
  });
  body.append(...rows.map(([, row]) => row));
}
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = Array.from(table.tHead.rows[0].cells);
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const numbers = head.classList.contains("num");
      const was = head.getAttribute("aria-sort");
      const down = was ? was === "ascending" : numbers;
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      sort(table, column, down);
    });
  });
}
const form = document.querySelector("form.controls");
if (form) {
  const rows = Array.from(document.querySelector("table.formulas").tBodies[0].rows);
  const filter = () => {
    const find = form.elements.find.value.toLowerCase();
    const [status, group] = [form.elements.status.value, form.elements.group.value];
    let shown = 0;
    for (const row of rows) {
      const fits = (!status || row.dataset.status === status)
        && (!group || row.dataset.group === group)
        && row.textContent.toLowerCase().includes(find);
      row.hidden = !fits;
      shown += fits;
    }
    form.querySelector("output").textContent = `${shown} of ${rows.length}`;
  };
  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("submit", event => event.preventDefault());
  filter();
}
