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
const players = document.querySelector("form.players");
if (players) {
  const episodes = Array.from(document.querySelectorAll("details.episode"));
  const pair = document.querySelector(".pair");
  const filter = () => {
    let shown = 0;
    for (const episode of episodes) {
      const fits = Array.from(players.querySelectorAll("select"))
        .every(pick => !pick.value || episode.dataset[pick.name] === pick.value);
      episode.hidden = !fits;
      shown += fits;
    }
    players.querySelector("output").textContent = `${shown} of ${episodes.length}`;
  };
  const put = (episode, side) => {
    const copy = episode.cloneNode(true);
    copy.removeAttribute("id");
    copy.querySelectorAll("button").forEach(button => button.remove());
    copy.open = true;
    pair.querySelector(`[data-side=${side}]`).replaceChildren(copy);
    pair.hidden = false;
    pair.scrollIntoView({block: "nearest"});
  };
  for (const episode of episodes) {
    for (const side of ["left", "right"]) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = side;
      button.title = `Show it on the ${side}`;
      button.addEventListener("click", event => {
        event.preventDefault();
        put(episode, side);
      });
      episode.querySelector("summary").append(" ", button);
    }
  }
  players.hidden = false;
  players.addEventListener("input", filter);
  players.addEventListener("submit", event => event.preventDefault());
  filter();
}
// On a phone a long table is opened by who wants it; a link into it opens it.
const folds = document.querySelectorAll("details.folds");
const linked = () => document.getElementById(location.hash.slice(1));
if (matchMedia("(max-width: 640px)").matches)
  for (const fold of folds) fold.open = linked() !== null && fold.contains(linked());
addEventListener("hashchange", () => {
  for (const fold of folds) fold.open ||= linked() !== null && fold.contains(linked());
  linked()?.scrollIntoView();
});
