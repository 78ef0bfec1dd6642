"use strict";
(() => {
  const $ = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Tables: sorted by their headers, searched as one types.
  for (const block of $(".table")) {
    const headers = $("thead th", block);
    const body = block.querySelector("tbody");
    const rows = [...body.rows];
    const count = block.querySelector(".count");
    const whole = count.textContent;
    const sortBy = (index) => {
      const header = headers[index];
      const text = header.classList.contains("text");
      const before = header.getAttribute("aria-sort");
      const ascending = before ? before !== "ascending" : text;
      for (const other of headers) other.removeAttribute("aria-sort");
      header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      rows.sort((a, b) => {
        const x = a.cells[index].dataset.key, y = b.cells[index].dataset.key;
        if (x === "" || y === "") return (x === "") - (y === "");
        const order = text ? x.localeCompare(y, "en", { numeric: true }) : Number(x) - Number(y);
        return ascending ? order : -order;
      });
      body.append(...rows);
    };
    headers.forEach((header, index) => {
      header.querySelector("button")?.addEventListener("click", () => sortBy(index));
    });
    block.querySelector("input[type=search]").addEventListener("input", (event) => {
      const query = event.target.value.trim().toLowerCase();
      let shown = 0;
      for (const row of rows) {
        row.hidden = !row.textContent.toLowerCase().includes(query);
        shown += !row.hidden;
      }
      count.textContent = query ? `${shown} of ${rows.length} rows` : whole;
    });
  }

  // Terms: the text of the glossary beside what one points at or selects.
  const tip = document.getElementById("tip");
  const show = (target) => {
    const entry = document.getElementById(target.getAttribute("aria-describedby"));
    if (!entry) return;
    tip.textContent = entry.textContent;
    tip.hidden = false;
    const box = target.getBoundingClientRect();
    const left = Math.min(box.left, document.documentElement.clientWidth - tip.offsetWidth - 8);
    tip.style.left = `${Math.max(4, left) + scrollX}px`;
    tip.style.top = `${box.bottom + scrollY + 6}px`;
  };
  const hide = () => { tip.hidden = true; };
  for (const term of $(".term, th button[aria-describedby]")) {
    term.addEventListener("mouseenter", () => show(term));
    term.addEventListener("focus", () => show(term));
    term.addEventListener("mouseleave", hide);
    term.addEventListener("blur", hide);
  }
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });

  // Plots: values at the pointer, or at a cursor that arrow keys move.
  const NAMESPACE = "http://www.w3.org/2000/svg";
  const make = (name, attributes, parent) => {
    const made = document.createElementNS(NAMESPACE, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    parent.append(made);
    return made;
  };
  const pointIn = (svg, event) => {
    const box = svg.getBoundingClientRect(), view = svg.viewBox.baseVal;
    return [(event.clientX - box.left) / box.width * view.width, (event.clientY - box.top) / box.height * view.height];
  };

  const readChart = (chart, svg, data, say) => {
    const cursor = make("circle", { class: "cursor", r: 7, visibility: "hidden" }, svg);
    let series = 0, index = -1;
    const select = (s, i) => {
      const points = data.series[s]?.points;
      if (!points?.length) return;
      series = s;
      index = Math.max(0, Math.min(points.length - 1, i));
      const [x, y, text] = points[index];
      cursor.setAttribute("cx", x);
      cursor.setAttribute("cy", y);
      cursor.setAttribute("visibility", "visible");
      say(data.series.length > 1 ? `${data.series[s].name}: ${text}` : text);
    };
    svg.addEventListener("pointermove", (event) => {
      const [x, y] = pointIn(svg, event);
      let best = Infinity, found = null;
      data.series.forEach((one, s) => one.points.forEach(([a, b], i) => {
        const distance = (a - x) ** 2 + (b - y) ** 2;
        if (distance < best) [best, found] = [distance, [s, i]];
      }));
      if (found) select(...found);
    });
    chart.addEventListener("keydown", (event) => {
      const along = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      const across = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (along === undefined && across === undefined) return;
      event.preventDefault();
      const n = data.series.length;
      if (across) select((series + across + n) % n, Math.max(0, index));
      else select(series, index + along);
    });
  };

  const ticksOf = (low, high) => {
    const rough = (high - low) / 7, power = 10 ** Math.floor(Math.log10(rough));
    const step = Math.max(1, power * [1, 2, 5, 10].find((f) => power * f >= rough));
    const found = [];
    for (let v = Math.ceil(low / step) * step; v <= high; v += step) if (Number.isInteger(v)) found.push(v);
    return found;
  };

  const readPositions = (figure, chart, svg, data, say) => {
    const moving = svg.querySelector(".moving");
    const [, , , height] = moving.getAttribute("viewBox").split(" ").map(Number);
    const axis = svg.querySelector(".positions");
    const cursor = make("path", { class: "cursor" }, svg);
    let low = data.start, high = data.end, at = null, row = 0;
    const scale = () => data.width / (high - low);
    const pixel = (position) => data.left + (position - low) * scale();
    const redraw = () => {
      const unit = data.width / (data.end - data.start);
      moving.setAttribute("viewBox", `${(low - data.start) * unit} 0 ${(high - low) * unit} ${height}`);
      axis.replaceChildren();
      make("path", { class: "axis", d: `M${data.left} ${data.axis}H${data.left + data.width}` }, axis);
      for (const value of ticksOf(low + 1, high)) {
        const x = pixel(value - 0.5);
        make("path", { class: "axis", d: `M${x} ${data.axis}v5` }, axis);
        if (x < data.left + data.width - 26) make("text", { x, y: data.axis + 18, "text-anchor": "middle" }, axis).textContent = value.toLocaleString("en");
      }
      for (const text of $(".placed text", svg)) {
        const x = pixel(Number(text.dataset.x));
        text.setAttribute("x", x);
        text.setAttribute("visibility", x < data.left || x > data.left + data.width ? "hidden" : "visible");
      }
      drawCursor();
    };
    const drawCursor = () => {
      const inside = at !== null && at >= low && at < high;
      const x = inside ? pixel(data.kind === "map" ? at + 0.5 : at) : 0;
      cursor.setAttribute("d", inside ? `M${x} 0V${data.axis}` : "");
    };
    const view = (from, to) => {
      const size = Math.max(data.kind === "map" ? 10 : 50, Math.min(data.end - data.start, Math.round(to - from)));
      low = Math.round(Math.max(data.start, Math.min(data.end - size, from)));
      high = low + size;
      redraw();
      say(`${data.name}:${(low + 1).toLocaleString("en")}-${high.toLocaleString("en")}`);
    };
    const zooms = {
      in: () => { const c = at ?? (low + high) / 2, h = (high - low) / 4; view(c - h, c + h); },
      out: () => { const c = (low + high) / 2, h = high - low; view(c - h, c + h); },
      left: () => { const d = (high - low) / 4; view(low - d, high - d); },
      right: () => { const d = (high - low) / 4; view(low + d, high + d); },
      reset: () => view(data.start, data.end),
    };
    const read = () => {
      drawCursor();
      const where = `${data.name}:${(Math.floor(at) + 1).toLocaleString("en")}`;
      if (data.kind === "strip") {
        const values = data.rows.map((one) => {
          const i = one.start.findIndex((start, k) => start <= at && at < one.end[k]);
          return `${one.name} ${i < 0 ? "none" : one.value[i]}`;
        });
        say(`${where}: ${values.join("; ")}`);
        return;
      }
      const base = data.bases[at - data.start], effect = data.effects[at - data.start][row];
      const what = base === "ACGT"[row] ? "reference base" : effect === null ? "unknown" : `effect ${effect} (${data.unit})`;
      say(`${where} ${base} to ${"ACGT"[row]}: ${what}`);
    };
    svg.addEventListener("pointermove", (event) => {
      const [x, y] = pointIn(svg, event);
      const position = low + (x - data.left) / scale();
      if (position < low || position >= high) return;
      at = Math.floor(position);
      if (data.kind === "map") row = Math.max(0, Math.min(3, Math.floor((y - data.heat) / data.row)));
      read();
    });
    for (const button of $("[data-zoom]", figure)) button.addEventListener("click", zooms[button.dataset.zoom]);
    chart.addEventListener("keydown", (event) => {
      const zoom = { "+": "in", "=": "in", "-": "out", "0": "reset" }[event.key];
      const along = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      const across = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (event.ctrlKey || event.metaKey || (!zoom && !along && !across)) return;
      event.preventDefault();
      if (zoom) { zooms[zoom](); return; }
      if (across) row = (row + across + 4) % 4;
      const step = data.kind === "map" ? 1 : Math.max(1, Math.round((high - low) / 100));
      at = Math.max(low, Math.min(high - 1, (at ?? Math.floor((low + high) / 2)) + (along ?? 0) * step));
      read();
    });
  };

  for (const chart of $(".chart")) {
    const data = JSON.parse(document.getElementById(chart.dataset.readout).textContent);
    const figure = chart.closest("figure"), svg = chart.querySelector("svg");
    const output = figure.querySelector(".readout");
    const say = (text) => { output.textContent = text; };
    if (data.kind === "chart") readChart(chart, svg, data, say);
    else readPositions(figure, chart, svg, data, say);
  }

  // On paper, nothing is folded.
  addEventListener("beforeprint", () => { for (const one of $("details")) one.open = true; });
})();
