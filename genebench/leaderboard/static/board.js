// Sort and filter tables. Pages are complete without this script.
"use strict";

const number = (text) => {
  const match = text.replaceAll(",", "").match(/^[≤<]?\s*([−-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?![\w.])/i);
  return match ? Number(match[1].replace("−", "-")) : NaN;
};

// Return the sort key of a cell: its leading number if it has one, else its text. Blanks come last.
const value = (row, column) => {
  const cell = row.cells[column];
  const text = cell ? (cell.dataset.v ?? cell.textContent).trim() : "";
  return { text, number: number(text), blank: text === "" || text === "–" };
};

const compare = (a, b, sign) => {
  if (a.blank !== b.blank) return a.blank ? 1 : -1;
  if (!Number.isNaN(a.number) && !Number.isNaN(b.number)) return sign * (a.number - b.number);
  return sign * a.text.localeCompare(b.text);
};

function sort(table, heading) {
  const order = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  const sign = order === "ascending" ? 1 : -1;
  const column = heading.cellIndex;
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", order);
  // Controls and failures keep their own part of the table.
  for (const body of table.tBodies) {
    const rows = [...body.rows].filter((row) => !row.querySelector(".group"));
    const keyed = rows.map((row) => [value(row, column), row]);
    keyed.sort(([a], [b]) => compare(a, b, sign));
    body.append(...keyed.map(([, row]) => row));
  }
}

function makeSortable(table) {
  for (const heading of table.tHead.rows[0].cells) {
    if (!heading.textContent.trim()) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.append(heading.firstChild);
    heading.prepend(button);
    button.addEventListener("click", () => sort(table, heading));
  }
}

function makeFilterable(table, id) {
  const box = document.createElement("div");
  box.className = "filter";
  box.innerHTML = `<label for="${id}">Filter</label><input id="${id}" type="search" autocomplete="off"><output for="${id}"></output>`;
  const [, input, count] = box.children;
  const rows = [...table.tBodies].flatMap((body) => [...body.rows]).filter((row) => !row.querySelector(".group"));
  const show = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
    const visible = rows.filter((row) => !row.hidden).length;
    count.textContent = words.length ? `${visible} of ${rows.length} rows` : "";
  };
  input.addEventListener("input", show);
  table.closest(".scroll").before(box);
}

document.querySelectorAll("table.sortable").forEach((table, index) => {
  makeSortable(table);
  // A table of a few rows needs no filter.
  if (table.rows.length > 4) makeFilterable(table, `filter-${index}`);
});
