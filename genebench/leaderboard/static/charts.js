// Charts of a board, in tabs. Numbers and the chart library are loaded when a tab is opened.
// They follow the metric that the reader ranks by.
// Without this script, the page shows a drawing, a table or a sentence in the place of each chart.
"use strict";

(() => {
  const section = document.getElementById("charts");
  const board = globalThis.genebenchBoard;
  if (!section || !board) return;
  const root = section.dataset.root;
  const panel = document.body.dataset.panel;

  // ---- Small tools

  const h = globalThis.genebenchElement;

  // The address holds the open tab and its choices.
  const address = {
    get: globalThis.genebenchState.get,
    set(changes) {
      for (const [name, value] of Object.entries(changes)) globalThis.genebenchState.set(name, value);
    },
  };

  const scripts = new Map();
  const load = (path) => {
    if (!scripts.has(path)) {
      scripts.set(path, new Promise((resolve, reject) => {
        const script = h("script", { src: path });
        script.onload = resolve;
        script.onerror = () => reject(new Error(`${path} is missing. Build the site again.`));
        document.head.append(script);
      }));
    }
    return scripts.get(path);
  };

  const inflate = async (text) => {
    if (!globalThis.DecompressionStream) throw new Error("This browser is too old for the charts.");
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  };
  const documents = new Map();
  const numbers = (path, name) => {
    if (!documents.has(path)) {
      documents.set(path, load(path)
        .then(() => inflate(globalThis.genebenchData[name]))
        .then((bytes) => JSON.parse(new TextDecoder().decode(bytes))));
    }
    return documents.get(path);
  };

  const minus = (text) => text.replaceAll("-", "−");
  const score = (value) => minus(value.toFixed(4));
  const signed = (value) => (value > 0 ? "+" : "") + score(value);
  const short = (value) => minus(Number.isInteger(value) ? value.toLocaleString("en") : String(Number(value.toPrecision(3))));
  const pValue = (p) => (p === null ? "–" : p < 0.001 ? "< 0.001" : p.toFixed(3));
  // Variants of a method often differ in their last parameter, so the end of a label stays.
  const cut = (text, most) => {
    const end = Math.floor(most * 0.4);
    return text.length > most ? `${text.slice(0, most - 1 - end)}…${text.slice(-end)}` : text;
  };
  // A chart would take "{a|b}" in a label as a style. A word joiner keeps it a text.
  const plain = (text) => String(text).replaceAll("{", "{\u2060");
  const named = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

  const csvCell = (value) => {
    if (value === null || value === undefined) return "";
    if (typeof value === "number") return String(value);
    const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const download = (name, rows) => {
    const text = rows.map((row) => row.map(csvCell).join(",")).join("\n");
    const url = URL.createObjectURL(new Blob([`${text}\n`], { type: "text/csv" }));
    h("a", { href: url, download: `${name}.csv` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  };

  const choice = (title, options, chosen, onchange) => {
    const select = h("select", {}, ...options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
    select.addEventListener("change", () => onchange(select.value));
    return h("label", {}, title, select);
  };

  // ---- Charts: colours of the page, sizes, and axes

  const colours = () => {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(`--${name}`).trim();
    const names = ["page", "raised", "ink", "soft", "line", "accent", "warn"];
    return {
      ...Object.fromEntries(names.map((name) => [name, of(name)])),
      series: [1, 2, 3, 4, 5, 6, 7, 8].map((number) => of(`series${number}`)),
    };
  };
  // Seven shapes and eight colours: 56 families differ in one or the other, and eight in both.
  const SHAPES = ["circle", "rect", "triangle", "diamond", "path://M3 0h4v3h3v4h-3v3h-4v-3h-3v-4h3z",
    "path://M0 1h10L5 10z", "path://M5 0L10 4L8 10H2L0 4z"];
  const FONT = 11;

  const mix = (from, to, share) => {
    const parts = (colour) => [1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16));
    const [a, b] = [parts(from), parts(to)];
    return `rgb(${a.map((part, index) => Math.round(part + (b[index] - part) * share)).join(",")})`;
  };

  const canvas = document.createElement("canvas").getContext("2d");
  const widthOf = (text) => {
    canvas.font = `${FONT}px system-ui, sans-serif`;
    return canvas.measureText(text).width;
  };

  // Make a chart that follows the size of its box and the colours of the page.
  // draw(chart, colours, width) sets the options. Call the result to draw again.
  const makeChart = (box, draw) => {
    const chart = globalThis.echarts.init(box, null, { renderer: "canvas" });
    const redraw = () => {
      if (box.clientWidth) draw(chart, colours(), box.clientWidth);
    };
    let width = 0;
    new ResizeObserver(() => {
      if (box.clientWidth === width || !box.clientWidth) return;
      width = box.clientWidth;
      chart.resize();
      redraw();
    }).observe(box);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", redraw);
    box.dismiss = () => {
      scheme.removeEventListener("change", redraw);
      chart.dispose();
    };
    return { chart, redraw };
  };

  const base = (c, label) => ({
    animation: false,
    aria: { enabled: true, label: { description: label } },
    textStyle: { color: c.ink, fontFamily: "system-ui, sans-serif", fontSize: FONT },
    tooltip: {
      // Drawn in the canvas, where no text of a record can become markup.
      renderMode: "richText", confine: true, trigger: "item",
      backgroundColor: c.raised, borderColor: c.soft, textStyle: { color: c.ink, fontSize: 12 },
    },
  });

  // Ticks of a logarithmic axis: powers of ten, or 1, 2 and 5 times these if there are few.
  const logTicks = (low, high, most) => {
    const all = (factors) => {
      const ticks = [];
      for (let power = Math.floor(low); power <= high; power += 1)
        for (const factor of factors) ticks.push(power + Math.log10(factor));
      return ticks.filter((tick) => tick >= low - 1e-9 && tick <= high + 1e-9);
    };
    const tens = all([1]);
    if (tens.length > most) return tens.filter((_, index) => index % Math.ceil(tens.length / most) === 0);
    if (tens.length >= 3) return tens;
    for (const factors of [[1, 2, 5], [1, 2, 3, 4, 5, 6, 7, 8, 9]]) {
      const ticks = all(factors);
      if (ticks.length > 1) return ticks.slice(0, most + 2);
    }
    return [low, high];
  };

  // Return an axis. Values on a logarithmic one are exponents of ten, so that ticks can be chosen.
  const axis = (c, name, { low, high, log = false, most = 6, vertical = false }) => {
    const ticks = log ? logTicks(low, high, most) : undefined;
    return {
      type: "value", min: low, max: high, name,
      nameLocation: vertical ? "end" : "middle", nameGap: vertical ? 12 : 28,
      nameTextStyle: { color: c.soft, fontSize: FONT, align: vertical ? "left" : "center", padding: vertical ? [0, 0, 0, -40] : 0 },
      splitNumber: most, axisLine: { show: true, onZero: false, lineStyle: { color: c.line } },
      axisTick: { lineStyle: { color: c.line }, ...(ticks && { customValues: ticks }) },
      splitLine: { show: !log, lineStyle: { color: c.line, opacity: 0.5 } },
      axisLabel: {
        color: c.soft, fontSize: FONT, showMinLabel: log, showMaxLabel: log, hideOverlap: true,
        formatter: (value) => short(Number((log ? 10 ** value : value).toPrecision(6))),
        ...(ticks && { customValues: ticks }),
      },
    };
  };
  const range = (values, room = 0.06) => {
    const low = Math.min(...values);
    const high = Math.max(...values);
    const margin = (high - low) * room || Math.abs(high) * 0.05 || 1;
    return { low: low - margin, high: high + margin };
  };
  const isWide = (values) => {
    const low = Math.min(...values);
    return low > 0 && Math.max(...values) / low >= 100;
  };

  // Choose the places of labels so that none covers a mark, another label or a line of steps.
  // marks: [{x, y, size, text}] in pixels, the most important first. Returns a label option for each.
  // steps: corners of the line in pixels.
  const placeLabels = (marks, box, steps) => {
    const line = FONT + 3;
    const taken = marks.map(({ x, y, size }) => [x - size / 2, y - size / 2, x + size / 2, y + size / 2]);
    steps.slice(1).forEach(([x, y], index) => {
      const [left, top] = steps[index];
      taken.push([left, top - 1, x, top + 1], [x - 1, Math.min(top, y), x + 1, Math.max(top, y)]);
    });
    const free = (spot) => spot[0] > box[0] && spot[2] < box[2] && spot[1] > box[1] && spot[3] < box[3]
      && !taken.some((other) => spot[0] < other[2] && spot[2] > other[0] && spot[1] < other[3] && spot[3] > other[1]);
    return marks.map(({ x, y, size, text }) => {
      const width = widthOf(text);
      const away = size / 2 + 4;
      const lifts = [0, -10, 10];
      const spots = [
        ...lifts.map((lift) => ["right", [0, lift], [x + away, y - line / 2 + lift, x + away + width, y + line / 2 + lift]]),
        ...lifts.map((lift) => ["left", [0, lift], [x - away - width, y - line / 2 + lift, x - away, y + line / 2 + lift]]),
        ["top", [0, 0], [x - width / 2, y - away - line, x + width / 2, y - away]],
        ["bottom", [0, 0], [x - width / 2, y + away, x + width / 2, y + away + line]],
      ];
      const found = spots.find(([, , spot]) => free(spot));
      if (!found) return { show: false };
      taken.push(found[2]);
      return { show: true, position: found[0], offset: found[1], distance: 4, formatter: plain(text) };
    });
  };

  // Return how crowded it is around each point of the unit square, from 0 to 1, on a scale of logarithms.
  // Points are counted in a grid, whose counts are smoothed and interpolated, so that no cell shows.
  const MANY_GENES = 400;
  const densityOf = (points) => {
    const CELLS = 72;
    let grid = new Float64Array(CELLS * CELLS);
    const cell = (share) => Math.min(CELLS - 1, Math.floor(share * CELLS));
    for (const [x, y] of points) grid[cell(x) * CELLS + cell(y)] += 1;
    for (const stride of [1, CELLS, 1, CELLS])
      grid = grid.map((count, at) => 0.5 * count + 0.25 * ((grid[at - stride] ?? 0) + (grid[at + stride] ?? 0)));
    const between = (share) => {
      const at = Math.min(CELLS - 1.001, Math.max(0, share * CELLS - 0.5));
      return [Math.floor(at), at - Math.floor(at)];
    };
    const crowds = points.map(([x, y]) => {
      const [[i, u], [j, v]] = [between(x), between(y)];
      const at = i * CELLS + j;
      const low = grid[at] * (1 - v) + grid[at + 1] * v;
      return Math.log1p(low * (1 - u) + (grid[at + CELLS] * (1 - v) + grid[at + CELLS + 1] * v) * u);
    });
    const most = Math.max(...crowds);
    return crowds.map((crowd) => crowd / (most || 1));
  };

  // ---- Panes. Each gets the numbers of the board by one metric.

  const byMetric = (data, { name }) => ({
    ...data,
    metric: data.metrics.find((metric) => metric.name === name),
    panels: data.panels[name],
    protocols: { ...data.protocols, rows: data.protocols.rows.map((row) => ({ ...row, cells: row.cells[name] })) },
    history: { ...data.history, scores: data.history.scores[name] },
    sizes: data.sizes && { ...data.sizes, lines: data.sizes.lines.map((line) => ({ ...line, points: line.points[name] })) },
  });

  const better = (data, a, b) => (data.metric.lower ? a < b : a > b);
  const unit = (data) => `${data.metric.title}${data.metric.unit ? `, ${data.metric.unit}` : ""}`;
  const familyStyles = (data) => {
    const families = [...new Set(data.variants.map((variant) => variant.family))].sort();
    return new Map(families.map((family, index) => [family, index]));
  };

  const panes = {};

  panes.cost = (pane, data) => {
    const dots = data.panels[panel].places
      .map(([number, mean, low, high, rank]) => ({ ...data.variants[number], mean, low, high, rank }))
      .filter((dot) => dot.cost !== null);
    if (!dots.length) return;
    const main = dots.some((dot) => !dot.control) ? dots.filter((dot) => !dot.control) : dots;
    const front = [];
    for (const dot of main.filter((each) => !each.mark).sort((a, b) => a.cost - b.cost || (better(data, a.mean, b.mean) ? -1 : 1)))
      if (!front.length || better(data, dot.mean, front.at(-1).mean)) front.push(dot);
    const styles = familyStyles({ variants: main });
    const { box, csv, summary } = stage(pane);
    csv(() => [
      ["method", "family", "control", "seconds", data.metric.name, "low", "high", "rank", "on_frontier"],
      ...dots.map((dot) => [dot.label, dot.family, dot.control ? 1 : 0, dot.cost, dot.mean, dot.low, dot.high, dot.rank, front.includes(dot) ? 1 : 0]),
    ]);
    summary(`${named(dots.length, "method")}. ${front.length ? `On the frontier, from cheap to dear: ${front
      .map((dot) => `${dot.label} (${short(dot.cost)} s, ${score(dot.mean)})`).join("; ")}.` : "No times compare, so there is no frontier."}`);
    const steps = (x) => front.length ? [...front.map((dot) => [Math.log10(dot.cost), dot.mean]), [x.high, front.at(-1).mean]] : [];
    makeChart(box, (chart, c, width) => {
      const x = range(main.map((dot) => Math.log10(dot.cost)), 0.08);
      const y = range(main.map((dot) => dot.mean), 0.1);
      const inside = (value, { low, high }) => Math.min(high, Math.max(low, value));
      const marks = dots.map((dot) => {
        const [px, py] = [inside(Math.log10(dot.cost), x), inside(dot.mean, y)];
        const beyond = px !== Math.log10(dot.cost) || py !== dot.mean;
        const text = cut(dot.label, width < 600 ? 20 : 32) + dot.mark + (beyond ? ` ${score(dot.mean)}` : "");
        return { dot, value: [px, py], beyond, text, size: front.includes(dot) ? 12 : 9, lower: 0 };
      });
      // Controls that stand at one place of the edge are moved below each other.
      marks.filter((mark) => mark.beyond).forEach((mark, index, edge) => {
        mark.lower = 16 * edge.slice(0, index).filter((other) => String(other.value) === String(mark.value)).length;
      });
      const place = (labels) => {
        const item = (mark) => ({
          value: mark.value, name: mark.dot.label, symbolSize: mark.size, symbolOffset: [0, mark.lower], mark,
          label: { color: c.ink, fontSize: FONT, ...(labels.get(mark) ?? { show: false }) },
        });
        const families = [...styles].map(([family, index]) => ({
          name: plain(family), type: "scatter", symbol: SHAPES[index % SHAPES.length], z: 3,
          itemStyle: { color: c.series[index % c.series.length], borderColor: c.page, borderWidth: 1 },
          data: marks.filter((mark) => !mark.dot.control && mark.dot.family === family).map(item),
        }));
        const controls = marks.filter((mark) => mark.dot.control).map((mark) => ({
          ...item(mark), symbol: mark.beyond ? "arrow" : "circle", symbolRotate: mark.value[1] !== mark.dot.mean ? (mark.value[1] < mark.dot.mean ? 0 : 180) : 90,
        }));
        const needsLegend = styles.size > 1 || controls.length > 0;
        chart.setOption({
          ...base(c, pane.summaryText),
          grid: { left: 58, right: 24, top: needsLegend ? 54 : 30, bottom: 48 },
          legend: { show: needsLegend, type: "scroll", top: 0, left: 0, right: 0, icon: undefined, itemWidth: 12, itemHeight: 10,
            textStyle: { color: c.ink, fontSize: FONT }, pageTextStyle: { color: c.soft }, pageIconColor: c.accent, pageIconInactiveColor: c.line,
            data: [...families.map((one) => one.name), ...(controls.length && main !== dots ? ["control"] : [])] },
          xAxis: axis(c, "fit + predict, s", { ...x, log: true, most: width < 600 ? 4 : 8 }),
          yAxis: axis(c, unit(data), { ...y, vertical: true }),
          tooltip: { ...base(c).tooltip, formatter: ({ data: { mark } = {} }) => mark && plain(
            `${mark.dot.label}\n${data.metric.title} ${score(mark.dot.mean)}${mark.dot.low === null ? "" : ` [${score(mark.dot.low)}, ${score(mark.dot.high)}]`}\n${short(mark.dot.cost)} s${mark.dot.mark && " (not comparable)"}${mark.dot.control ? "\ncontrol" : `\n${mark.dot.family}`}`) },
          series: [
            { name: "frontier", type: "line", step: "end", symbol: "none", silent: true, z: 2,
              lineStyle: { color: c.accent, type: "dashed", width: 1.5, opacity: 0.8 },
              data: steps(x) },
            ...families,
            { name: "control", type: "scatter", symbol: "circle", z: 3, data: controls,
              itemStyle: { color: c.raised, borderColor: c.soft, borderWidth: 1.5 } },
          ],
        }, true);
      };
      place(new Map());
      const order = [...marks].sort((a, b) => front.includes(b.dot) - front.includes(a.dot));
      const pixels = order.map((mark) => {
        const [px, py] = chart.convertToPixel({ gridIndex: 0 }, mark.value);
        return { x: px, y: py + mark.lower, size: mark.size, text: mark.text };
      });
      const labels = placeLabels(pixels, [50, 24, width, box.clientHeight - 44], steps(x).map((step) => chart.convertToPixel({ gridIndex: 0 }, step)));
      place(new Map(order.map((mark, index) => [mark, labels[index]])));
    }).redraw();
  };

  panes.pairs = (pane, data) => {
    const { places, ranked, p: packedP } = data.panels[panel];
    if (ranked.length < 2 || packedP.every((p) => p === null)) return;
    const means = new Map(places.map(([number, mean]) => [number, mean]));
    const n = ranked.length;
    const label = (index) => data.variants[ranked[index]].label;
    // Pairs are in the order of the upper triangle, row by row.
    const p = (i, j) => {
      const [a, b] = i < j ? [i, j] : [j, i];
      const packed = packedP[(a * (2 * n - a - 1)) / 2 + b - a - 1];
      return packed === null ? null : packed / 10000;
    };
    const difference = (i, j) => means.get(ranked[i]) - means.get(ranked[j]);
    const verdict = (i, j) => {
      const at = p(i, j);
      if (at === null) return "not tested";
      if (at > 0.05) return "tied";
      return better(data, means.get(ranked[i]), means.get(ranked[j])) ? "better" : "worse";
    };
    let chosen = Math.max(0, ranked.findIndex((number) => data.variants[number].label === address.get("method")));
    const { box, tools, csv, summary, after } = stage(pane);
    csv(() => [
      ["a", "b", `${data.metric.name}_a`, `${data.metric.name}_b`, "difference", "p_adjusted", "a_is"],
      ...ranked.flatMap((_, i) => ranked.slice(i + 1).map((__, k) => {
        const j = i + 1 + k;
        return [label(i), label(j), means.get(ranked[i]), means.get(ranked[j]), Number(difference(i, j).toPrecision(6)), p(i, j), verdict(i, j)];
      })),
    ]);
    let tied = 0;
    for (let i = 0; i < n; i += 1) for (let j = i + 1; j < n; j += 1) tied += verdict(i, j) === "tied";
    const pairs = (n * (n - 1)) / 2;
    summary(`${named(pairs, "pair")} of ${n} methods: ${pairs - tied} differ significantly, ${tied} are tied. Methods stand in the order of their error, the best first.`);
    const size = Math.max(...ranked.flatMap((_, i) => [Math.abs(difference(0, i))])) || 1;

    const table = h("tbody");
    const caption = h("caption");
    const list = () => {
      caption.textContent = `${data.metric.title} of ${label(chosen)} minus that of each other method. P-values are adjusted for all pairs.`;
      table.replaceChildren(...ranked.map((number, other) => other).filter((other) => other !== chosen).map((other) => h("tr", {},
        h("th", { scope: "row" }, label(other)),
        h("td", {}, signed(difference(chosen, other))),
        h("td", {}, pValue(p(chosen, other))),
        h("td", { className: "text" }, verdict(chosen, other)),
        h("td", {}, score(means.get(ranked[other]))))));
    };
    const pick = (index) => {
      chosen = index;
      select.lastChild.value = String(index);
      address.set({ method: label(index) });
      list();
      made.redraw();
    };
    const select = choice("method to compare", ranked.map((_, index) => [String(index), label(index)]), String(chosen), (value) => pick(Number(value)));
    tools.prepend(select);
    after.append(h("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "Differences from one method" },
      h("table", {}, caption, h("thead", {}, h("tr", {},
        h("th", { scope: "col", className: "text" }, "other method"), h("th", { scope: "col" }, "difference"), h("th", { scope: "col" }, "p"),
        h("th", { scope: "col", className: "text" }, "verdict"), h("th", { scope: "col" }, `${data.metric.title} of the other`))), table)));
    list();

    box.style.maxWidth = `${Math.min(60 * n + 200, 820)}px`;
    const made = makeChart(box, (chart, c, most) => {
      const letters = most < 600 ? 13 : 26;
      const wanted = Math.max(...ranked.map((_, index) => widthOf(cut(label(index), letters)))) + 10;
      const tight = (most - wanted - 4) / n < 8;
      const left = tight ? 8 : wanted;
      const cell = Math.min(60, (most - left - 4) / n);
      const down = Math.min(cell, 34);
      const top = tight ? 6 : Math.min(wanted, 150) + 4;
      const names = (align) => ({ show: !tight, interval: 0, color: c.ink, fontSize: Math.min(FONT, Math.max(8, down - 1)), formatter: (index) => plain(cut(label(Number(index)), letters)), ...align });
      const category = { type: "category", data: ranked.map((_, index) => String(index)), axisLine: { show: false }, axisTick: { show: false }, splitLine: { show: false } };
      box.style.height = `${Math.round(top + down * n + 8)}px`;
      chart.resize();
      const fill = (i, j) => {
        if (i === j) return c.page;
        const what = verdict(i, j);
        if (what === "tied" || what === "not tested") return mix(c.raised, c.soft, 0.14);
        const share = 0.3 + 0.7 * Math.min(1, Math.abs(difference(i, j)) / size) ** 0.5;
        return mix(c.raised, what === "better" ? c.series[0] : c.series[1], share);
      };
      const cells = ranked.flatMap((_, i) => ranked.map((__, j) => [j, i]));
      chart.setOption({
        ...base(c, pane.summaryText),
        grid: { left, top, width: cell * n, height: down * n },
        xAxis: { ...category, position: "top", axisLabel: names({ rotate: 90 }) },
        yAxis: { ...category, inverse: true, axisLabel: names({}) },
        tooltip: { ...base(c).tooltip, formatter: ({ value: [j, i] }) => (i === j ? plain(label(i)) : plain(
          `${label(i)}\n${verdict(i, j)}${verdict(i, j) === "tied" ? " with" : verdict(i, j) === "not tested" ? " against" : " than"} ${label(j)}\n${signed(difference(i, j))}, p ${pValue(p(i, j))}`)) },
        series: [{
          type: "custom", data: cells, encode: { x: 0, y: 1 }, clip: true,
          renderItem: (_, api) => {
            const [j, i] = [api.value(0), api.value(1)];
            const [x, y] = api.coord([j, i]);
            const gap = cell > 14 ? 1 : 0.3;
            const what = verdict(i, j);
            const text = i === j ? "" : cell >= 46 && down >= 16 ? signed(difference(i, j)) : cell >= 15 && what === "tied" ? "=" : "";
            const strong = what !== "tied" && Math.abs(difference(i, j)) / size > 0.2;
            return {
              type: "rect",
              shape: { x: x - cell / 2 + gap / 2, y: y - down / 2 + gap / 2, width: cell - gap, height: down - gap },
              style: { fill: fill(i, j), ...(i === chosen && i !== j ? { stroke: c.ink, lineWidth: Math.min(1, cell / 16) } : {}) },
              textConfig: { position: "inside" },
              ...(text && { textContent: { style: { text, fontSize: 10, fill: strong ? c.page : c.ink } } }),
            };
          },
        }],
      }, true);
    });
    made.chart.on("click", ({ value }) => pick(value[1]));
    made.redraw();
  };

  panes.protocols = (pane, data) => {
    const { columns, rows } = data.protocols;
    if (columns.length < 2) return;
    const here = rows.filter((row) => row.cells[panel]);
    const { tools, csv, summary, after } = stage(pane, { chart: false });
    const modes = [["error", data.metric.title], ["rank", "rank"],
      ...columns.map((column, index) => [`from ${index}`, `change from ${column.protocol}`])];
    let mode = modes.some(([value]) => value === address.get("show")) ? address.get("show") : "error";
    let sorted = null;
    const value = (row, column) => {
      const cell = row.cells[panel][column];
      if (!cell) return null;
      if (mode === "error") return cell[0];
      if (mode === "rank") return cell[1] ?? null;
      const from = row.cells[panel][Number(mode.slice(5))];
      return from ? cell[0] - from[0] : null;
    };
    const text = (number) => (number === null ? "–" : mode === "rank" ? String(number) : mode === "error" ? score(number) : signed(number));
    csv(() => [
      ["method", "control", ...columns.flatMap((column) => [`${column.protocol}_${data.metric.name}`, `${column.protocol}_rank`])],
      ...here.map((row) => [row.label, row.control ? 1 : 0, ...row.cells[panel].flatMap((cell) => [cell?.[0] ?? null, cell?.[1] ?? null])]),
    ]);
    const box = h("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "Methods and protocols" });
    after.append(box);
    const show = () => {
      const order = [...here];
      if (sorted !== null) order.sort((a, b) => {
        const [x, y] = [value(a, sorted.column), value(b, sorted.column)];
        if (x === null || y === null) return (x === null) - (y === null);
        return sorted.up ? x - y : y - x;
      });
      // Controls do not set the scale: they are far from all others.
      const scale = columns.map((_, column) => {
        const values = here.filter((row) => !row.control).map((row) => value(row, column)).filter((one) => one !== null);
        return values.length ? [Math.min(...values), Math.max(...values)] : [0, 0];
      });
      const largest = Math.max(...scale.flat().map(Math.abs)) || 1;
      const shade = (number, column) => {
        if (number === null) return "";
        const gain = data.metric.lower || mode === "rank" ? -1 : 1;
        if (mode.startsWith("from")) {
          const step = Math.min(5, Math.round((5 * Math.abs(number)) / largest));
          return step ? `${gain * number > 0 ? "h" : "w"}${step}` : "";
        }
        const [low, high] = scale[column];
        const share = high > low ? Math.min(1, Math.max(0, (number - low) / (high - low))) : 0;
        const step = Math.round(5 * (gain < 0 ? 1 - share : share));
        return step ? `h${step}` : "";
      };
      const head = columns.map((column, index) => {
        const button = h("button", { type: "button", title: column.title }, column.protocol);
        button.addEventListener("click", () => {
          sorted = { column: index, up: sorted?.column === index ? !sorted.up : data.metric.lower || mode === "rank" };
          show();
          box.querySelectorAll("thead button")[index].focus();
        });
        const th = h("th", { scope: "col" }, button);
        if (sorted?.column === index) th.ariaSort = sorted.up ? "ascending" : "descending";
        if (column.here) th.append(h("small", {}, "this board"));
        else if (column.panels.length) th.append(h("small", {}, h("a", { className: "keep", href: `../${column.id}/${column.panels.includes(panel) ? panel : column.panels[0]}.html${location.hash}` }, "open")));
        return th;
      });
      box.replaceChildren(h("table", { className: "heat" },
        h("thead", {}, h("tr", {}, h("th", { scope: "col", className: "text" }, "method"), ...head)),
        h("tbody", {}, ...order.map((row) => h("tr", {},
          h("th", { scope: "row", title: row.label }, row.label, ...(row.control ? [h("small", {}, " control")] : [])),
          ...columns.map((_, column) => {
            const number = value(row, column);
            return h("td", { className: shade(number, column) }, text(number));
          }))))));
      const words = mode.startsWith("from")
        ? "Green is a better score than under that protocol, brown a worse one."
        : "The greener, the better within its column. Controls do not set the scale.";
      summary(`${named(here.length, "method")} under ${columns.length} protocols. ${words}`);
    };
    tools.prepend(choice("show", modes, mode, (chosen) => {
      mode = chosen;
      address.set({ show: chosen });
      show();
    }));
    show();
  };

  panes.genes = async (pane, data) => {
    if (!data.metric.genes) return;
    const own = await numbers("genes.js", "genes").catch(() => null);
    if (!own || own.methods.length < 2) {
      pane.querySelector(".static").textContent = "Fewer than two methods of this board have errors of single genes.";
      return;
    }
    const names = await numbers(`${root}genes/${own.names}.js`, "names");
    const twin = new Set(names.twin);
    const kept = names.ids.map((_, index) => index).filter((index) => panel === "all" || twin.has(index) === (panel === "twin"));
    let first = null;
    const vectors = new Map();
    const vector = async (number) => {
      if (vectors.has(number)) return vectors.get(number);
      const [, text] = own.methods.find(([other]) => other === number);
      const bytes = await inflate(text);
      const steps = new Uint16Array(own.count);
      for (let gene = 0; gene < own.count; gene += 1) {
        steps[gene] = bytes[gene] + 256 * bytes[own.count + gene];
        if (first) steps[gene] += first[gene];
      }
      first ??= steps;
      vectors.set(number, Float64Array.from(steps, (step) => own.low + own.step * step));
      return vectors.get(number);
    };
    await vector(own.methods[0][0]);

    const label = (number) => data.variants[number].label;
    const options = own.methods.map(([number]) => [String(number), label(number)]);
    const start = (name, fallback) => own.methods.find(([number]) => label(number) === address.get(name))?.[0] ?? own.methods[fallback][0];
    let [x, y] = [start("x", 1), start("y", 0)];
    let [a, b] = [await vector(x), await vector(y)];
    let picked = names.ids.indexOf(address.get("gene") ?? "");
    const digits = Math.max(1, Math.ceil(-Math.log10(own.step)));
    const print = (value) => minus(value.toFixed(digits));
    const symbol = (gene) => names.symbols[gene] ?? "";

    const { box, tools, csv, summary, after } = stage(pane);
    box.style.maxWidth = "640px";
    csv(() => [
      ["gene", "symbol", "also_landmark", label(x), label(y), "difference"],
      ...kept.map((gene) => [names.ids[gene], symbol(gene), twin.has(gene) ? 1 : 0, ...[a[gene], b[gene], a[gene] - b[gene]].map((value) => Number(value.toFixed(digits)))]),
    ]);
    const search = h("input", { type: "search", autocomplete: "off", size: 16 });
    const change = async (which, value) => {
      if (which === "x") x = Number(value);
      else y = Number(value);
      [a, b] = [await vector(x), await vector(y)];
      address.set({ x: label(x), y: label(y) });
      describe();
      list();
      made.redraw();
    };
    tools.prepend(
      choice("horizontal", options, String(x), (value) => change("x", value)),
      choice("vertical", options, String(y), (value) => change("y", value)),
      h("label", {}, "search genes", search));

    const describe = () => {
      const wins = kept.filter((gene) => better(data, b[gene], a[gene])).length;
      const losses = kept.filter((gene) => better(data, a[gene], b[gene])).length;
      summary(`${named(kept.length, "gene")}: ${label(y)} is better on ${wins.toLocaleString("en")}, ${label(x)} on ${losses.toLocaleString("en")}. `
        + `Values are averaged over seeds and rounded to ${own.step}.`
        + (own.left_out ? ` To keep the file small, ${named(own.left_out, "method")} with larger errors ${own.left_out === 1 ? "is" : "are"} left out. The results have all genes.` : ""));
    };

    let order = { by: "difference", up: true };
    let shown = 50;
    const columns = [["gene", "gene"], ...(names.symbols.length ? [["symbol", "symbol"]] : []), ["x", "horizontal"], ["y", "vertical"], ["difference", "difference"]];
    const body = h("tbody");
    const row = h("tr");
    const count = h("p", { className: "summary", role: "status" });
    const more = h("button", { type: "button", className: "more" }, "Show 200 more");
    const pick = (gene) => {
      picked = gene;
      address.set({ gene: names.ids[gene] });
      list();
      made.redraw();
    };
    const key = { gene: (gene) => names.ids[gene], symbol, x: (gene) => a[gene], y: (gene) => b[gene], difference: (gene) => a[gene] - b[gene] };
    const list = () => {
      const words = search.value.toLowerCase().split(/[\s,;]+/).filter(Boolean);
      const found = words.length
        ? kept.filter((gene) => words.some((word) => names.ids[gene].toLowerCase().includes(word) || symbol(gene).toLowerCase().includes(word)))
        : [...kept];
      const by = key[order.by];
      const sign = order.up ? 1 : -1;
      found.sort((one, other) => {
        const [left, right] = [by(one), by(other)];
        return sign * (typeof left === "string" ? left.localeCompare(right) : left - right) || one - other;
      });
      row.replaceChildren(...columns.map(([name, title]) => {
        const button = h("button", { type: "button" }, title);
        button.addEventListener("click", () => {
          order = { by: name, up: order.by === name ? !order.up : true };
          list();
          row.cells[columns.findIndex(([other]) => other === name)].firstChild.focus();
        });
        const th = h("th", { scope: "col", className: name === "gene" || name === "symbol" ? "text" : "" }, button);
        if (name === "x") th.append(h("small", {}, cut(label(x), 24)));
        if (name === "y") th.append(h("small", {}, cut(label(y), 24)));
        if (name === "difference") th.append(h("small", {}, "horizontal − vertical"));
        if (order.by === name) th.ariaSort = order.up ? "ascending" : "descending";
        return th;
      }));
      const first = picked >= 0 && found.includes(picked) ? [picked] : [];
      const rows = [...first, ...found.filter((gene) => gene !== picked)].slice(0, shown);
      body.replaceChildren(...rows.map((gene) => {
        const button = h("button", { type: "button", className: "gene", ariaPressed: String(gene === picked), title: "Mark in the plot" }, names.ids[gene]);
        button.addEventListener("click", () => pick(gene));
        return h("tr", { className: gene === picked ? "here" : "" },
          h("th", { scope: "row" }, button, ...(twin.has(gene) ? [h("small", {}, " landmark")] : [])),
          ...(names.symbols.length ? [h("td", { className: "text" }, symbol(gene) || "–")] : []),
          h("td", {}, print(a[gene])), h("td", {}, print(b[gene])), h("td", {}, (a[gene] > b[gene] ? "+" : "") + print(a[gene] - b[gene])));
      }));
      count.textContent = `${rows.length.toLocaleString("en")} of ${named(found.length, "gene")} shown.`;
      more.hidden = rows.length >= found.length;
    };
    more.addEventListener("click", () => {
      shown += 200;
      list();
    });
    search.addEventListener("input", () => {
      shown = 50;
      list();
    });
    after.append(count, h("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "Errors of genes" },
      h("table", {}, h("thead", {}, row), body)), more);

    const made = makeChart(box, (chart, c, width) => {
      box.style.height = `${width}px`;
      chart.resize();
      const values = kept.flatMap((gene) => [a[gene], b[gene]]);
      // A few genes far out must not press all others into a corner. They stand at the edge.
      const ordered = values.sort((one, other) => one - other);
      const low = Math.min(ordered[0], 0) === 0 && ordered[0] < 0.2 * ordered.at(-1) ? 0 : ordered[0];
      const high = Math.min(ordered.at(-1), 1.25 * ordered[Math.floor(0.999 * (ordered.length - 1))]);
      const at = { low: low - 0.02 * (high - low), high: high + 0.02 * (high - low) };
      const clip = (value) => Math.min(at.high, Math.max(at.low, value));
      // Each point gets a shade by the number of points near it.
      const many = kept.length > MANY_GENES;
      const density = many ? densityOf(kept.map((gene) => [(clip(a[gene]) - at.low) / (at.high - at.low), (clip(b[gene]) - at.low) / (at.high - at.low)])) : [];
      const LEVELS = many ? 10 : 1;
      const levels = Array.from({ length: LEVELS }, () => []);
      kept.forEach((gene, index) => levels[Math.floor((density[index] ?? 0) * (LEVELS - 1e-9))].push([clip(a[gene]), clip(b[gene]), gene]));
      const shade = (level) => {
        if (!many) return c.series[0];
        const share = level / (LEVELS - 1);
        return share < 0.6 ? mix(c.line, c.series[0], 0.45 + (0.55 * share) / 0.6) : mix(c.series[0], c.ink, (0.6 * (share - 0.6)) / 0.4);
      };
      const settings = { ...at, most: width < 600 ? 4 : 6 };
      // On a narrow page the unit has no room. The summary and the tooltip have it.
      const nameOf = (one) => (width < 600 ? `${cut(label(one), 30)}: ${data.metric.title}` : `${cut(label(one), 60)}: ${unit(data)}`);
      chart.setOption({
        ...base(c, pane.summaryText),
        grid: { left: 54, right: 18, top: 34, bottom: 48 },
        xAxis: axis(c, plain(nameOf(x)), settings),
        yAxis: axis(c, plain(nameOf(y)), { ...settings, vertical: true }),
        tooltip: { ...base(c).tooltip, formatter: ({ value }) => value?.[2] !== undefined && plain(
          `${names.ids[value[2]]}${symbol(value[2]) ? ` ${symbol(value[2])}` : ""}\n${print(a[value[2]])} by ${label(x)}\n${print(b[value[2]])} by ${label(y)}`) },
        series: [
          ...levels.map((points, level) => ({
            type: "scatter", data: points, symbolSize: many ? 3.5 : 6, z: 2 + level,
            itemStyle: { color: shade(level), opacity: many ? 0.9 : 0.75 },
          })),
          { type: "line", symbol: "none", silent: true, z: 20, data: [[at.low, at.low], [at.high, at.high]],
            lineStyle: { color: c.soft, type: "dashed", width: 1 } },
          ...(picked >= 0 && kept.includes(picked) ? [{
            type: "scatter", z: 30, symbolSize: 13, data: [[clip(a[picked]), clip(b[picked]), picked]],
            itemStyle: { color: "transparent", borderColor: c.warn, borderWidth: 2.5 },
            label: { show: true, position: "top", color: c.ink, fontWeight: 600, textBorderColor: c.page, textBorderWidth: 3,
              formatter: plain(symbol(picked) || names.ids[picked]) },
          }] : []),
        ],
      }, true);
    });
    made.chart.on("click", ({ value }) => value?.[2] !== undefined && pick(value[2]));
    describe();
    list();
    made.redraw();
  };

  panes.curves = (pane, data) => {
    const kinds = [
      ...(data.sizes ? [["training size", "training size"]] : []),
      ...Object.keys(data.curves).map((name) => [`curve ${name}`, name]),
    ];
    if (!kinds.length) {
      pane.querySelector(".static").textContent = "No run of this board has a curve, and no other training size was run.";
      return;
    }
    let kind = kinds.some(([value]) => value === address.get("curve")) ? address.get("curve") : kinds[0][0];
    let column = address.get("column");
    const { box, tools, csv, summary } = stage(pane);

    // Return the lines to draw: [{label, control, points: [[x, y, low, high]], chosen}].
    const lines = () => {
      if (kind === "training size") {
        return data.sizes.lines.map(({ label, control, points }) => ({ label, control, points: points[panel] ?? [] })).filter((line) => line.points.length > 1);
      }
      return data.curves[kind.slice(6)].flatMap((line) => {
        const values = line.columns.find(([name]) => name === column)?.[1];
        return values ? [{ label: data.variants[line.variant].label, control: false, chosen: line.chosen, points: line.xs.map((x, index) => [x, values[index]]) }] : [];
      });
    };
    const columnsOf = () => (kind === "training size" ? [] : [...new Set(data.curves[kind.slice(6)].flatMap((line) => line.columns.map(([name]) => name)))]);
    const xName = () => (kind === "training size" ? "training profiles" : [...new Set(data.curves[kind.slice(6)].map((line) => line.x))].join(" or "));
    const yName = () => (kind === "training size" ? unit(data) : column.replace(/^mae/, "validation MAE"));
    csv(() => [
      ["method", xName(), kind === "training size" ? unit(data) : column, ...(kind === "training size" ? ["seeds_low", "seeds_high"] : ["chosen"])],
      ...lines().flatMap((line) => line.points.map(([x, y, low, high]) => [line.label, x, y, ...(kind === "training size" ? [low, high] : [x === line.chosen ? 1 : 0])])),
    ]);
    const second = h("span");
    const show = () => {
      const names = columnsOf();
      if (names.length && !names.includes(column)) column = names.find((name) => name.startsWith("mae")) ?? names[0];
      second.replaceChildren(...(names.length > 1 ? [choice("value", names.map((name) => [name, name]), column, (value) => {
        column = value;
        address.set({ column });
        show();
      })] : []));
      const drawn = lines();
      const best = drawn.filter((line) => !line.control).map((line) => {
        const [x, y] = line.points.reduce((one, other) => ((kind === "training size" ? better(data, other[1], one[1]) : other[1] < one[1]) ? other : one));
        return [line.label, x, y];
      });
      summary(`${named(drawn.length, "curve")} of ${yName()} by ${xName()}. ${best.length ? `${kind === "training size" ? "Best" : "Least"} value of each: ${best.slice(0, 6).map(([name, x, y]) => `${name} ${short(y)} at ${short(x)}`).join("; ")}${best.length > 6 ? "; and others, which the CSV has" : ""}.` : ""}`);
      made.redraw();
    };
    tools.prepend(choice("curve", kinds, kind, (value) => {
      kind = value;
      address.set({ curve: kind });
      show();
    }), second);
    const made = makeChart(box, (chart, c, width) => {
      const drawn = lines();
      const main = drawn.some((line) => !line.control) ? drawn.filter((line) => !line.control) : drawn;
      const xs = drawn.flatMap((line) => line.points.map(([x]) => x));
      const ys = main.flatMap((line) => line.points.map(([, y]) => y));
      const [logX, logY] = [isWide(xs) || (kind === "training size" && Math.min(...xs) > 0), isWide(ys)];
      const tx = (x) => (logX ? Math.log10(x) : x);
      const ty = (y) => (logY ? (y > 0 ? Math.log10(y) : null) : y);
      const [rx, ry] = [range(xs.map(tx), 0.04), range(ys.map(ty).filter((one) => one !== null))];
      const drawable = (line, index) => {
        const colour = line.control ? c.soft : c.series[index % c.series.length];
        const shape = SHAPES[Math.floor(index / c.series.length + index) % SHAPES.length];
        return {
          name: plain(line.label), type: "line", symbol: shape, symbolSize: line.points.length > 25 ? 0.1 : 6, clip: true,
          lineStyle: { color: colour, width: 1.7, type: line.control ? "dotted" : ["solid", "dashed", "dotted"][Math.floor(index / c.series.length) % 3] },
          itemStyle: { color: colour },
          data: line.points.map(([x, y, low, high]) => ({
            value: [tx(x), ty(y)], line, at: [x, y, low, high],
            ...(x === line.chosen ? { symbolSize: 11 } : line.chosen === undefined || line.chosen === null ? {} : { itemStyle: { color: c.page, borderColor: colour, borderWidth: 1.2 } }),
          })),
        };
      };
      chart.setOption({
        ...base(c, pane.summaryText),
        grid: { left: 58, right: 24, top: 60, bottom: 48 },
        legend: { type: "scroll", top: 0, left: 0, right: 0, itemWidth: 22, textStyle: { color: c.ink, fontSize: FONT }, formatter: (name) => cut(name, 34),
          pageTextStyle: { color: c.soft }, pageIconColor: c.accent, pageIconInactiveColor: c.line },
        xAxis: axis(c, plain(xName()), { ...rx, log: logX, most: width < 600 ? 4 : 8 }),
        yAxis: axis(c, plain(yName()), { ...ry, log: logY, vertical: true }),
        tooltip: { ...base(c).tooltip, formatter: ({ data: point }) => point?.at && plain(
          `${point.line.label}\n${xName()} ${short(point.at[0])}\n${yName()} ${short(point.at[1])}${point.at[2] === undefined || point.at[2] === null ? "" : `, seeds [${short(point.at[2])}, ${short(point.at[3])}]`}${point.at[0] === point.line.chosen ? "\nchosen" : ""}`) },
        series: drawn.map(drawable),
      }, true);
    });
    show();
  };

  panes.history = (pane, data) => {
    const { second, variant, scores, undated } = data.history;
    const runs = second
      .map((time, index) => ({ time: time * 1000, number: variant[index], value: scores[panel]?.[index] ?? null }))
      .filter((run) => run.value !== null && !data.variants[run.number].control);
    if (!runs.length) return;
    const best = [];
    for (const run of runs) if (!best.length || better(data, run.value, best.at(-1).value)) best.push(run);
    const { box, csv, summary } = stage(pane);
    const isShort = runs.at(-1).time - runs[0].time < 172_800_000;
    const day = (time) => new Date(time).toISOString().slice(0, isShort ? 16 : 10).replace("T", " ");
    csv(() => [
      ["started", "method", data.metric.name, "best_so_far"],
      ...runs.map((run) => [new Date(run.time).toISOString(), data.variants[run.number].label, run.value, best.includes(run) ? 1 : 0]),
    ]);
    summary(`${named(runs.length, "run")} from ${day(runs[0].time)} to ${day(runs.at(-1).time)}. The best score changed ${named(best.length - 1, "time")}: `
      + `${best.slice(-8).map((run) => `${day(run.time)} ${data.variants[run.number].label} ${score(run.value)}`).join("; ")}.`
      + (undated ? ` ${named(undated, "run")} without a date ${undated === 1 ? "is" : "are"} left out.` : ""));
    makeChart(box, (chart, c, width) => {
      const x = range(runs.map((run) => run.time), 0.04);
      if (runs[0].time === runs.at(-1).time) [x.low, x.high] = [runs[0].time - 43_200_000, runs[0].time + 43_200_000];
      const y = range(runs.map((run) => run.value), 0.08);
      const draw = (labels) => chart.setOption({
        ...base(c, pane.summaryText),
        grid: { left: 58, right: 24, top: 34, bottom: 48 },
        xAxis: { ...axis(c, "start of the run, UTC", x), type: "time", splitNumber: width < 600 ? 3 : 6, axisLabel: { color: c.soft, fontSize: FONT, hideOverlap: true } },
        yAxis: axis(c, unit(data), { ...y, vertical: true }),
        useUTC: true,
        tooltip: { ...base(c).tooltip, formatter: ({ data: point }) => point?.run && plain(
          `${data.variants[point.run.number].label}\n${data.metric.title} ${score(point.run.value)}\n${new Date(point.run.time).toISOString().slice(0, 16).replace("T", " ")}`) },
        series: [
          { type: "line", step: "end", symbol: "none", silent: true, z: 2, lineStyle: { color: c.accent, width: 1.7 },
            data: [...best.map((run) => [run.time, run.value]), [x.high, best.at(-1).value]] },
          { type: "scatter", symbolSize: 6, z: 3, itemStyle: { color: c.soft, opacity: 0.55 },
            data: runs.filter((run) => !best.includes(run)).map((run) => ({ value: [run.time, run.value], run })) },
          { type: "scatter", symbolSize: 10, z: 4, symbol: "diamond", itemStyle: { color: c.accent },
            data: best.map((run, index) => ({ value: [run.time, run.value], run, label: { color: c.ink, fontSize: FONT, ...(labels[index] ?? { show: false }) } })) },
        ],
      }, true);
      draw([]);
      const marks = [...best].reverse().map((run) => {
        const [px, py] = chart.convertToPixel({ gridIndex: 0 }, [run.time, run.value]);
        return { x: px, y: py, size: 10, text: cut(data.variants[run.number].label, 30) };
      });
      const steps = [...best.map((run) => [run.time, run.value]), [x.high, best.at(-1).value]];
      draw(placeLabels(marks, [50, 8, width, box.clientHeight - 44], steps.map((step) => chart.convertToPixel({ gridIndex: 0 }, step))).reverse());
    }).redraw();
  };

  // Take a chart out of its pane, whose static content comes back.
  function clear(pane) {
    for (const box of pane.querySelectorAll(".canvas")) box.dismiss?.();
    for (const part of pane.querySelectorAll(":scope > .live")) part.remove();
    for (const old of pane.querySelectorAll(".static")) old.hidden = false;
  }

  // Fill a pane with tools, a box for a chart, and a summary in words. Its static content goes.
  function stage(pane, { chart = true } = {}) {
    for (const old of pane.querySelectorAll(".static")) old.hidden = true;
    const box = h("div", { className: "canvas" });
    const words = h("p", { className: "summary live", id: `summary-${pane.dataset.name}` });
    const button = h("button", { type: "button", className: "csv" }, "CSV");
    const tools = h("div", { className: "tools live" }, button);
    const after = h("div");
    pane.append(tools, words, h("div", { className: "split live" }, ...(chart ? [box] : []), after));
    if (chart) {
      box.setAttribute("role", "img");
      box.setAttribute("aria-label", pane.querySelector("h3").textContent);
    }
    return {
      box, tools, after,
      csv: (rows) => button.addEventListener("click", () => download(`${board.protocol}-${panel}-${pane.dataset.name}`, rows())),
      summary: (text) => {
        pane.summaryText = text;
        words.textContent = text;
      },
    };
  }

  // ---- Tabs

  const all = [...section.querySelectorAll(".pane")];
  const tabs = all.map((pane) => {
    const name = pane.dataset.name;
    pane.id = `pane-${name}`;
    pane.setAttribute("role", "tabpanel");
    pane.setAttribute("aria-labelledby", `tab-${name}`);
    const tab = h("button", { type: "button", id: `tab-${name}` }, pane.querySelector("h3").textContent);
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", pane.id);
    tab.addEventListener("click", () => open(name, true));
    return tab;
  });
  const bar = h("div", {}, ...tabs);
  bar.setAttribute("role", "tablist");
  bar.setAttribute("aria-labelledby", "charts-title");
  section.querySelector("h2").after(bar);
  section.classList.add("live");
  bar.addEventListener("keydown", (event) => {
    const at = tabs.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    const tab = tabs[(to + tabs.length) % tabs.length];
    tab.focus();
    open(tab.id.slice(4), true);
  });

  let visible = false;
  let current = "";
  // Name of a pane → the metric that it was filled by. Errors of genes are stored by one metric.
  const filled = new Map();
  const metricOf = (name) => (name === "genes" ? board.metrics[0] : board.chosenMetric());
  async function fill(name) {
    const metric = metricOf(name);
    if (!visible || filled.get(name) === metric) return;
    filled.set(name, metric);
    const pane = document.getElementById(`pane-${name}`);
    pane.ariaBusy = "true";
    try {
      if (!globalThis.echarts) await load(`${root}vendor/echarts.min.js`);
      const data = await numbers("tabs.js", "tabs");
      // Another metric may have been chosen while files were loaded.
      if (filled.get(name) !== metric) return;
      clear(pane);
      for (const word of pane.querySelectorAll(".metric")) word.textContent = metric.title;
      await panes[name](pane, byMetric(data, metric));
    } catch (error) {
      pane.append(h("p", { className: "warning live", role: "alert" }, `This chart cannot be shown. ${error.message}`));
    }
    pane.ariaBusy = "false";
  }
  function open(name, byUser = false) {
    current = name;
    for (const [index, pane] of all.entries()) {
      const isOpen = pane.dataset.name === name;
      pane.hidden = !isOpen;
      tabs[index].ariaSelected = String(isOpen);
      tabs[index].tabIndex = isOpen ? 0 : -1;
      if (isOpen) bar.scrollLeft = tabs[index].offsetLeft - bar.offsetLeft - 24;
    }
    if (byUser) address.set({ tab: name });
    fill(name);
  }
  const fromAddress = () => (all.some((pane) => pane.dataset.name === address.get("tab")) ? address.get("tab") : "cost");
  globalThis.genebenchState.listen(() => {
    if (fromAddress() === current) fill(current);
    else open(fromAddress());
  });
  // The library is large. It is loaded when the charts come near the screen, or are asked for.
  new IntersectionObserver((entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    visible = true;
    observer.disconnect();
    fill(current);
  }, { rootMargin: "400px" }).observe(section);
  open(fromAddress());
})();
