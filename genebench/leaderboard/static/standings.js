// The ranks of a board as a table that is sorted and filtered, with columns to choose.
// Texts are set as text and never as markup: names come from plugins and files.
"use strict";

(() => {
  const board = globalThis.genebenchBoard;
  const state = globalThis.genebenchState;
  const place = document.getElementById("standings-static");
  if (!board || !place || !globalThis.Tabulator) return;
  const h = globalThis.genebenchElement;
  const panel = document.body.dataset.panel;
  const phone = matchMedia("(max-width: 40rem)").matches;

  // Numbers as the pages without scripts print them

  const minus = (text) => text.replaceAll("-", "−");
  const score = (value) => (value === null ? "–" : minus(value.toFixed(4)));
  const signed = (value) => (value > 0 ? "+" : "") + score(value);
  const whole = (value) => (value === null ? "–" : value.toLocaleString("en", { maximumFractionDigits: 0 }));
  const probability = (p) => (p === null ? "–" : p < 0.001 ? "<0.001" : p.toFixed(3));
  const seconds = (value) => {
    if (value === null) return "–";
    if (value < 0.0005) return "<0.001";
    if (value >= 100) return whole(value);
    return value >= 1 ? String(Number(value.toPrecision(3))) : value.toFixed(3);
  };
  const interval = (low, high, print) => (low === null || high === null ? "" : `[${print(low)}, ${print(high)}]`);

  const ranks = (one) => (one.rankLow === one.rankHigh ? String(one.rankLow) : `${one.rankLow}–${one.rankHigh}`);

  // Drawings

  const svg = (width, height, ...parts) => {
    const drawing = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    for (const [name, value] of Object.entries({ viewBox: `0 0 ${width} ${height}`, class: "ci", "aria-hidden": "true" }))
      drawing.setAttribute(name, value);
    for (const [tag, properties] of parts) {
      const part = document.createElementNS("http://www.w3.org/2000/svg", tag);
      for (const [name, value] of Object.entries(properties)) part.setAttribute(name, value);
      drawing.append(part);
    }
    return drawing;
  };
  // Pixels of a drawing. The style sheet sets its height alone.
  const WIDTH = matchMedia("(max-width: 76rem)").matches ? 72 : 110;
  const scale = (low, high) => (value) => (high > low ? 4 + ((WIDTH - 8) * (value - low)) / (high - low) : WIDTH / 2).toFixed(1);

  // The difference to the leader and its interval, on the axis that all rows share.
  const drawDifference = (one, at) => {
    const parts = [["path", { class: "zero", d: `M${at(0)} 0V12` }]];
    if (one.differenceLow !== null && one.differenceHigh !== null)
      parts.push(["path", { d: `M${at(one.differenceLow)} 6H${at(one.differenceHigh)}` }]);
    parts.push(["circle", { cx: at(one.difference ?? 0), cy: 6, r: 2.5 }]);
    return svg(WIDTH, 12, ...parts);
  };

  // The ranks that a method may have, from the first to the last of the table.
  const drawRanks = (one, at) =>
    svg(WIDTH, 12, ["path", { class: "ranks", d: `M${at(one.rankLow - 0.5)} 6H${at(one.rankHigh + 0.5)}` }], ["circle", { cx: at(one.rank), cy: 6, r: 2.5 }]);

  // Columns. `show` returns the content of a cell, `value` what it is sorted by and its CSV.

  const { ranking, chosenMetric } = board;

  const chip = (text, kind, title = "") => h("span", { className: `chip ${kind}`, title }, text);
  const method = (row, metric) => {
    const cell = h("span", {}, h("a", { href: `../../methods/${row.methodPage}.html` }, row.label));
    for (const mark of row.marks) cell.append(" ", chip(mark, ["submitted", "verified"].includes(mark) ? "good" : "warn"));
    if (row.panels[panel]?.[metric.name]?.beatsMean === false)
      cell.append(" ", chip("not better than train-mean", "warn", "It is not significantly better than the control train-mean."));
    const failed = row.seeds.filter((seed) => seed.failed).length;
    if (failed) cell.append(" ", chip(failed < row.seeds.length ? "partial" : "failed", "bad"));
    return cell;
  };
  const seeds = (row) => {
    const cell = h("span", {});
    for (const { seed, key, failed } of row.seeds.slice(0, 10))
      cell.append(h("a", { href: `../../runs/${key}.html`, title: failed ? "failed" : "" }, failed ? `${seed}✗` : String(seed)), " ");
    if (row.seeds.length > 10) cell.append(h("a", { href: `../../methods/${row.methodPage}.html` }, `and ${row.seeds.length - 10} more`));
    return cell;
  };

  const columnsFor = (metric) => {
    const of = (row, name = metric.name) => row.panels[panel]?.[name] ?? null;
    const ranked = board.rows.filter((row) => row.section === "ranked" && of(row)?.rank);
    const ends = ranked.flatMap((row) => [of(row).difference, of(row).differenceLow, of(row).differenceHigh]).filter((end) => end !== null);
    // A few methods that are far behind would press all others together: they stand at the edge.
    const middle = ranked.map((row) => Math.abs(of(row).difference ?? 0)).sort((a, b) => a - b)[ranked.length >> 1] ?? 0;
    const most = 3 * middle || Infinity;
    const within = (value) => Math.max(-most, Math.min(most, value));
    const linear = scale(within(Math.min(0, ...ends)), within(Math.max(0, ...ends)));
    const atDifference = (value) => linear(within(value));
    const atRank = scale(0.5, Math.max(1, ranked.length) + 0.5);
    const best = (one) => (one.lowerIsBetter ? "asc" : "desc");
    const better = (one) => `${one.lowerIsBetter ? "lower" : "higher"} is better`;
    const all = [
      // Ranks never decrease with the score, which also orders ties.
      { id: "rank", title: "rank", value: (row) => (of(row)?.rank ? (metric.lowerIsBetter ? 1 : -1) * of(row).mean : null), csv: (row) => of(row)?.place ?? "", shown: true, frozen: !phone, width: 66,
        show: (row) => h("b", {}, row.section === "ranked" ? of(row)?.place ?? "–" : "–") },
      { id: "method", title: "method", value: (row) => row.label, shown: true, frozen: true, words: true, width: phone ? 150 : 210, wrap: true, show: (row) => method(row, metric) },
      { id: metric.name, title: metric.title, note: better(metric), value: (row) => of(row)?.mean ?? null, shown: true, start: best(metric), show: (row) => score(of(row)?.mean ?? null) },
      { id: "difference", title: "difference to the leader", note: "with its interval, on one axis", value: (row) => (of(row)?.rank ? of(row).difference ?? 0 : null), shown: true, words: true, width: WIDTH + 225, start: best(metric),
        show: (row) => {
          const one = of(row);
          if (!one?.rank) return "–";
          const text = one.difference === null ? "leader" : signed(one.difference);
          return h("span", { className: "drawn" }, h("span", {}, text), drawDifference(one, atDifference), h("small", {}, interval(one.differenceLow, one.differenceHigh, signed)));
        } },
      { id: "differenceLow", title: "lower end of the difference", value: (row) => of(row)?.differenceLow ?? null, show: (row) => (of(row)?.differenceLow ?? null) === null ? "–" : signed(of(row).differenceLow) },
      { id: "differenceHigh", title: "upper end of the difference", value: (row) => of(row)?.differenceHigh ?? null, show: (row) => (of(row)?.differenceHigh ?? null) === null ? "–" : signed(of(row).differenceHigh) },
      { id: "ranks", title: "possible ranks", note: `1 to ${ranked.length}`, value: (row) => of(row)?.rankLow ?? null, shown: true, words: true, width: WIDTH + 66,
        csv: (row) => (of(row)?.rank ? ranks(of(row)) : ""),
        show: (row) => (of(row)?.rank ? h("span", { className: "drawn" }, h("span", {}, ranks(of(row))), drawRanks(of(row), atRank)) : "–") },
      { id: "p", title: "p", note: "adjusted", value: (row) => of(row)?.p ?? null, shown: true, show: (row) => probability(of(row)?.p ?? null) },
      { id: "low", title: `lower end of ${metric.title}`, value: (row) => of(row)?.low ?? null, show: (row) => score(of(row)?.low ?? null) },
      { id: "high", title: `upper end of ${metric.title}`, value: (row) => of(row)?.high ?? null, show: (row) => score(of(row)?.high ?? null) },
      { id: "std", title: `std of ${metric.title} over genes`, value: (row) => of(row)?.std ?? null, show: (row) => score(of(row)?.std ?? null) },
      ...board.metrics.filter((other) => other !== metric).map((other) => ({
        id: other.name, title: other.title, note: better(other), value: (row) => of(row, other.name)?.mean ?? null, shown: true, start: best(other),
        show: (row) => score(of(row, other.name)?.mean ?? null),
      })),
      ...(panel === "all" && board.rows.some((row) => row.published) ? [{ id: "published", title: "published", note: metric.title, value: (row) => row.published?.[metric.name] ?? "", shown: true,
        show: (row) => row.published?.[metric.name] ?? "–" }] : []),
      { id: "family", title: "family", value: (row) => row.family, shown: true, words: true, show: (row) => row.family },
      { id: "fit", title: "fit", note: "s", value: (row) => row.cost.fit, shown: true, show: (row) => seconds(row.cost.fit) + row.cost.mark },
      { id: "predict", title: "predict", note: "s", value: (row) => row.cost.predict, shown: true, show: (row) => seconds(row.cost.predict) + row.cost.mark },
      { id: "memory", title: "memory", note: "MB, peak", value: (row) => row.cost.memory / 1e6, shown: true, show: (row) => `${row.memoryIsBound ? "≤ " : ""}${whole(row.cost.memory / 1e6)}` },
      { id: "parameters", title: "parameters", value: (row) => row.cost.parameters, shown: true, show: (row) => whole(row.cost.parameters) },
      { id: "seeds", title: "runs, by seed", value: (row) => row.seeds.length, shown: true, words: true, wrap: true, width: 110, show: seeds },
      { id: "sealed", title: "sealed", value: (row) => row.sealed ?? "", shown: true, words: true, show: (row) => (row.sealed ? `${row.sealed}${row.claimed ? " (as the sender states)" : ""}` : "–") },
      { id: "targets", title: "targets", value: (row) => row.targets, shown: true, show: (row) => whole(row.targets) },
    ];
    // Only columns at the left edge can stay in sight. A phone has room for the names alone.
    return phone ? [all[1], all[0], ...all.slice(2)] : all;
  };

  // Blanks come last in either direction.
  const compare = (column) => (a, b, one, other, _column, direction) => {
    const [left, right] = [column.value(one.getData()), column.value(other.getData())];
    const blank = (value) => value === null || value === "";
    if (blank(left) || blank(right)) return (blank(left) - blank(right)) * (direction === "asc" ? 1 : -1);
    return typeof left === "number" ? left - right : left.localeCompare(right);
  };

  const node = (content) => (content instanceof Node ? content : document.createTextNode(content));
  const definition = (column, shown) => ({
    field: column.id,
    title: "",
    titleFormatter: () => h("span", {}, h("button", { type: "button" }, column.title), column.note ? h("small", {}, column.note) : ""),
    formatter: (cell) => node(column.show(cell.getData())),
    sorter: compare(column),
    headerSortStartingDir: column.start ?? "asc",
    cssClass: [column.words ? "words" : "", column.wrap ? "wrap" : "", column.id === "method" ? "name" : ""].join(" ").trim(),
    frozen: Boolean(column.frozen),
    visible: shown.has(column.id),
    width: column.width,
    resizable: false,
  });

  // Controls above the table

  const search = h("input", { id: "q", type: "search", autocomplete: "off" });
  const family = h("select", { id: "family" }, h("option", { value: "" }, "all"));
  for (const name of [...new Set(board.rows.map((row) => row.family))].sort()) family.append(h("option", { value: name }, name));
  const metricChoice = h("select", { id: "metric" });
  for (const { name, title } of ranking) metricChoice.append(h("option", { value: name }, title));
  const count = h("output", { htmlFor: "q family" });
  const boxes = h("div", { className: "boxes" });
  const picker = h("details", { className: "picker" }, h("summary", {}, "Columns"), boxes);
  const download = h("button", { type: "button" }, "CSV of this table");
  const label = (text, control) => h("span", {}, h("label", { htmlFor: control.id }, text), control);
  const controls = h("div", { className: "filter" },
    label("Filter", search), label("Family", family), ranking.length > 1 ? label("Ranked by", metricChoice) : "", picker, download, count);
  const target = h("div", { id: "standings-table" });
  place.before(controls, target);
  place.classList.add("print-only");

  const TITLES = { ranked: "ranked", control: "controls, not ranked", failed: "failed", "not applicable": "not applicable" };
  let columns, table, shown;

  const visibleRow = (row) => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = `${row.label} ${row.family} ${row.section} ${row.marks.join(" ")} ${Object.entries(row.params).map((pair) => pair.join("=")).join(" ")}`.toLowerCase();
    return (!family.value || row.family === family.value) && words.every((word) => text.includes(word));
  };

  const filter = () => {
    table.setFilter(visibleRow);
    const visible = new Set(board.rows.filter(visibleRow).map((row) => row.id));
    // The print shows the same rows.
    for (const row of place.querySelectorAll("tr[data-id]")) row.hidden = !visible.has(row.dataset.id);
    count.textContent = visible.size < board.rows.length ? `${visible.size} of ${board.rows.length} rows` : "";
  };

  const build = () => {
    const metric = chosenMetric();
    metricChoice.value = metric.name;
    search.value = state.get("q") ?? "";
    family.value = state.get("family") ?? "";
    if (family.selectedIndex < 0) family.value = "";
    columns = columnsFor(metric);
    const standard = columns.filter((column) => column.shown).map((column) => column.id);
    const wanted = state.get("columns")?.split(",").filter((id) => columns.some((column) => column.id === id));
    shown = new Set(["method", ...(wanted ?? standard)]);
    boxes.replaceChildren(...columns.filter((column) => column.id !== "method").map((column) => {
      const box = h("input", { type: "checkbox", checked: shown.has(column.id) });
      box.addEventListener("change", () => {
        if (box.checked) shown.add(column.id);
        else shown.delete(column.id);
        table[box.checked ? "showColumn" : "hideColumn"](column.id);
        const ids = columns.map(({ id }) => id).filter((id) => shown.has(id));
        state.set("columns", ids.join() === standard.join() ? null : ids.join());
      });
      return h("label", {}, box, ` ${column.title}`);
    }));
    const [, by, down] = state.get("sort")?.match(/^(.+?)(-?)$/) ?? [];
    table?.destroy();
    table = new Tabulator(target, {
      data: board.rows,
      index: "id",
      columns: columns.map((column) => definition(column, shown)),
      columnDefaults: { headerTooltip: false },
      layout: "fitData",
      maxHeight: "85vh",
      renderVertical: board.rows.length > 400 ? "virtual" : "basic",
      headerSortElement: "<span></span>",
      groupBy: "section",
      groupValues: [Object.keys(TITLES).filter((name) => board.rows.some((row) => row.section === name))],
      groupHeader: (name, n) => h("span", { role: "gridcell" }, `${TITLES[name]} (${n})`),
      groupToggleElement: false,
      initialSort: columns.some(({ id }) => id === by) ? [{ column: by, dir: down ? "desc" : "asc" }]
        : metric === ranking[0] ? [] : [{ column: "rank", dir: "asc" }],
      headerSortTristate: false,
    });
    table.on("renderComplete", () => {
      // For readers of screens: the body is a group of rows, and so is each heading within it a row.
      target.setAttribute("aria-label", "Standings");
      target.removeAttribute("aria-owns");
      target.querySelector(".tabulator-tableholder").setAttribute("role", "rowgroup");
      target.querySelector(".tabulator-table").setAttribute("role", "presentation");
      for (const group of target.querySelectorAll(".tabulator-group")) group.setAttribute("role", "row");
    });
    table.on("tableBuilt", () => {
      filter();
      table.on("dataSorted", (sorters) => {
        if (sorters.length) state.set("sort", sorters[0].field + (sorters[0].dir === "desc" ? "-" : ""));
      });
      target.dataset.ready = "yes";
    });
  };

  search.addEventListener("input", () => { state.set("q", search.value); filter(); });
  family.addEventListener("change", () => { state.set("family", family.value); filter(); });
  metricChoice.addEventListener("change", () => {
    state.set("metric", metricChoice.value === ranking[0].name ? null : metricChoice.value);
    state.tell();
  });

  // What is shown, as a file: no text begins as a formula would in a spreadsheet.
  const csvCell = (value) => {
    if (value === null || typeof value === "number") return String(value ?? "");
    const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  download.addEventListener("click", () => {
    const picked = columns.filter((column) => shown.has(column.id));
    const rows = table.getRows("active").map((row) => row.getData());
    const lines = [picked.map((column) => column.id), ...rows.map((row) => picked.map((column) => (column.csv ?? column.value)(row)))];
    const text = lines.map((line) => line.map(csvCell).join(",")).join("\n") + "\n";
    const link = h("a", { href: URL.createObjectURL(new Blob([text], { type: "text/csv" })), download: `${board.protocol}-${panel}.csv` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  });

  state.listen(build);
  build();
})();
