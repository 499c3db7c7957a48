// Of every page: the state in the address, and tables that are sorted and filtered.
// Pages are complete without this script.
"use strict";

// The state of a page stands behind the # of its address. So it survives leaving, Back, and a link
// that somebody was sent. Links of class "keep" lead to another page with the same state.
globalThis.genebenchState = (() => {
  const read = () => new URLSearchParams(location.hash.slice(1));
  const follow = () => {
    for (const link of document.querySelectorAll("a.keep")) link.hash = location.hash;
  };
  const listeners = [];
  addEventListener("hashchange", () => {
    follow();
    state.tell();
  });
  document.addEventListener("DOMContentLoaded", follow);
  const state = {
    // Return a value of the state, or null.
    get: (name) => read().get(name),
    // Set a value, or remove it with null or "". Listeners are not called: the caller knows.
    set: (name, value) => {
      const values = read();
      if (value === null || value === "") values.delete(name);
      else values.set(name, value);
      history.replaceState(history.state, "", `#${values}`);
      follow();
    },
    // Call a function when the address changes by hand or by Back, or when tell() is called.
    listen: (listener) => listeners.push(listener),
    // Call all listeners, after a choice that several parts of the page follow.
    tell: () => listeners.forEach((listener) => listener()),
  };
  return state;
})();

// Return an element with properties and children. Strings become text, and never markup.
globalThis.genebenchElement = (name, properties = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in element) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
};

// Give each score of the board's data its names. Numbers are lists in the file, as it has thousands.
if (globalThis.genebenchBoard) {
  const board = globalThis.genebenchBoard;
  for (const row of board.rows)
    for (const scores of Object.values(row.panels))
      for (const [metric, values] of Object.entries(scores)) {
        const score = Object.fromEntries(board.figures.map((name, i) => [name, values[i] ?? null]));
        score.place = score.rank === null ? "–" : `${score.rank}${score.tied ? " =" : ""}`;
        scores[metric] = score;
      }
  const panel = document.body.dataset.panel;
  // Metrics that have ranks on this panel, and the one that the reader chose, or the first.
  board.ranking = board.metrics.filter(({ name }) => board.rows.some((row) => row.panels[panel]?.[name]?.rank));
  board.chosenMetric = () =>
    board.ranking.find(({ name }) => name === genebenchState.get("metric")) ?? board.ranking[0] ?? board.metrics[0];
}

(() => {
  const number = (text) => {
    const match = text.replaceAll(",", "").match(/^[≤<]?\s*([−-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?![\w.])/i);
    return match ? Number(match[1].replace("−", "-")) : NaN;
  };

  // Return the sort key of a cell: its leading number if it has one, else its text. Blanks come last.
  const value = (row, column) => {
    const text = (row.cells[column]?.textContent ?? "").trim();
    return { text, number: number(text), blank: text === "" || text === "–" };
  };

  const compare = (a, b, sign) => {
    if (a.blank !== b.blank) return a.blank ? 1 : -1;
    if (!Number.isNaN(a.number) && !Number.isNaN(b.number)) return sign * (a.number - b.number);
    return sign * a.text.localeCompare(b.text);
  };

  const sort = (table, heading, order) => {
    const sign = order === "ascending" ? 1 : -1;
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", order);
    for (const body of table.tBodies) {
      const keyed = [...body.rows].map((row) => [value(row, heading.cellIndex), row]);
      keyed.sort(([a], [b]) => compare(a, b, sign));
      body.append(...keyed.map(([, row]) => row));
    }
  };

  const makeSortable = (table, name) => {
    const headings = [...table.tHead.rows[0].cells];
    for (const heading of headings) {
      if (!heading.textContent.trim()) continue;
      const button = genebenchElement("button", { type: "button" });
      button.append(heading.firstChild);
      heading.prepend(button);
      button.addEventListener("click", () => {
        const order = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
        sort(table, heading, order);
        genebenchState.set(`${name}sort`, `${heading.cellIndex}${order === "ascending" ? "" : "-"}`);
      });
    }
    const [, column, down] = genebenchState.get(`${name}sort`)?.match(/^(\d+)(-?)$/) ?? [];
    if (headings[column]) sort(table, headings[column], down ? "descending" : "ascending");
  };

  const makeFilterable = (table, name) => {
    const input = genebenchElement("input", { id: `${name}filter`, type: "search", autocomplete: "off" });
    const count = genebenchElement("output", { htmlFor: input.id });
    const label = genebenchElement("label", { htmlFor: input.id }, "Filter");
    table.closest(".scroll").before(genebenchElement("div", { className: "filter" }, label, input, count));
    const rows = [...table.tBodies].flatMap((body) => [...body.rows]);
    const show = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
      }
      const visible = rows.filter((row) => !row.hidden).length;
      count.textContent = words.length ? `${visible} of ${rows.length} rows` : "";
    };
    input.value = genebenchState.get(input.id) ?? "";
    input.addEventListener("input", () => {
      genebenchState.set(input.id, input.value);
      show();
    });
    show();
  };

  document.querySelectorAll("table.sortable").forEach((table, index) => {
    const name = index ? `t${index}-` : "";
    makeSortable(table, name);
    // A table of a few rows needs no filter.
    if (table.rows.length > 4) makeFilterable(table, name);
  });
})();

// Buttons that copy. A browser may refuse the clipboard: then the text is selected instead.
(() => {
  const text = document.getElementById("bibtex");
  if (!text) return;
  const copy = (name, content, show) => {
    const button = genebenchElement("button", { type: "button" }, name);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(content());
        button.textContent = "Copied";
      } catch {
        show();
      }
      setTimeout(() => (button.textContent = name), 2000);
    });
    return button;
  };
  const select = () => {
    text.closest("details").open = true;
    getSelection().selectAllChildren(text);
  };
  text.closest("section").querySelector("details").before(genebenchElement("p", { className: "filter" },
    copy("Copy the address", () => location.href, () => prompt("Address of this view", location.href)),
    copy("Copy BibTeX", () => text.textContent, select)));
})();
