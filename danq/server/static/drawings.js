// Drawings as SVG. Colours are attributes, so that a saved drawing does not need the page.
const NAMESPACE = "http://www.w3.org/2000/svg";
const LETTERS = "ACGT";
const WIDTH = 960, LEFT = 74, RIGHT = 12, TOP = 30, LOGO = 96, ROW = 20, HEAT = TOP + LOGO + 14, AXIS = HEAT + 4 * ROW + 4;
const LEVELS = 10;
const SCALE = { red: [[247, 247, 247], [239, 138, 98], [150, 5, 30]], blue: [[247, 247, 247], [103, 169, 207], [5, 48, 97]] };

export const make = (name, attributes, parent, text) => {
  const made = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) {
    // The style sheet of the page would win over attributes of texts.
    if (name === "text" && key === "fill") made.style.setProperty(key, value);
    else if (name === "text" && key.startsWith("font-")) made.style.setProperty(key, key === "font-size" ? `${value}px` : value);
    else made.setAttribute(key, value);
  }
  if (text !== undefined) made.textContent = text;
  parent?.append(made);
  return made;
};
// Saved drawings have a white background, whatever the page has.
const SAVED = { "--ink": "#1b1f24", "--soft": "#4c5560", "--paper": "#ffffff", "--bar0": "#56a0d3", "--bar1": "#d8893b", "--n0": "#00795a", "--n1": "#0072b2", "--n2": "#a86a00", "--n3": "#c04a00", "--unknown": "#c9c9c9" };
let saving = false;
const colour = (name) => saving ? SAVED[name] : getComputedStyle(document.documentElement).getPropertyValue(name).trim();
export const forSaving = (draw) => {
  saving = true;
  try { return draw(); } finally { saving = false; }
};
export const shown = (value) => value === null ? "unknown" : Number(value.toPrecision(4)).toString();
export const grouped = (value) => value.toLocaleString("en");

const shade = (level) => {
  const [low, middle, high] = level >= 0 ? SCALE.red : SCALE.blue;
  const t = Math.abs(level) / LEVELS * 2;
  const [from, to, part] = t <= 1 ? [low, middle, t] : [middle, high, t - 1];
  return `rgb(${from.map((value, i) => Math.round(value + (to[i] - value) * part)).join(",")})`;
};

export const ticksOf = (low, high, most = 7) => {
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => power * factor >= rough - 1e-12);
  const found = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n += 1) found.push(Number((n * step).toPrecision(12)));
  return found;
};

// The bars of tracks: a standalone drawing of the rows that the table shows.
export const drawBars = (rows, { title, axis, limits }) => forSaving(() => {
  const ink = colour("--ink"), soft = colour("--soft"), paper = colour("--paper");
  const left = 260, row = 18, top = 44, height = top + rows.length * row + 46;
  const svg = make("svg", { xmlns: NAMESPACE, viewBox: `0 0 ${WIDTH} ${height}`, width: WIDTH, height, "font-family": "sans-serif", "font-size": 12 });
  make("rect", { width: WIDTH, height, fill: paper }, svg);
  make("text", { x: 12, y: 24, fill: ink, "font-size": 15, "font-weight": 600 }, svg, title);
  const [low, high] = limits, x = (value) => left + (value - low) / (high - low) * (WIDTH - left - 80);
  for (const tick of ticksOf(low, high)) {
    make("path", { d: `M${x(tick)} ${top}V${height - 40}`, stroke: soft, "stroke-width": tick === 0 ? 1.2 : .3 }, svg);
    make("text", { x: x(tick), y: height - 26, fill: ink, "text-anchor": "middle" }, svg, shown(tick));
  }
  rows.forEach(({ name, value }, index) => {
    const y = top + index * row;
    make("text", { x: left - 8, y: y + 13, fill: ink, "text-anchor": "end" }, svg, name.length > 36 ? `${name.slice(0, 35)}…` : name);
    if (value === null) return;
    const [from, to] = [x(0), x(value)];
    make("rect", { x: Math.min(from, to), y: y + 2, width: Math.max(1, Math.abs(to - from)), height: row - 4, fill: colour(value < 0 ? "--bar1" : "--bar0") }, svg);
    make("text", { x: Math.max(from, to) + 5, y: y + 13, fill: soft, "font-size": 11 }, svg, shown(value));
  });
  make("text", { x: left + (WIDTH - left - 80) / 2, y: height - 8, fill: ink, "text-anchor": "middle" }, svg, axis);
  return svg;
});

// The map of a sequence: logo over heat map, with a view that zooms.
export class MutationMap {
  constructor(holder, say) {
    this.holder = holder;
    this.say = say;
    this.at = null;
    this.row = 0;
  }

  show(data) {
    this.data = data;
    const known = data.effects.flat().filter((value) => value !== null);
    this.limit = Math.max(...known.map(Math.abs), 0) || 1;
    this.heights = data.effects.map((one) => one.some((value) => value === null) ? 0 : -one.reduce((a, b) => a + b, 0) / 3);
    [this.low, this.high] = [0, data.bases.length];
    this.at = null;
    this.draw();
  }

  draw() {
    const { data, low, high } = this;
    const ink = colour("--ink"), soft = colour("--soft"), paper = colour("--paper");
    const height = AXIS + 44, inner = WIDTH - LEFT - RIGHT, unit = inner / (high - low);
    const svg = make("svg", { xmlns: NAMESPACE, viewBox: `0 0 ${WIDTH} ${height}`, width: WIDTH, height, "font-family": "sans-serif", "font-size": 12, role: "img", "aria-label": `Effects on ${data.track} of ${data.name}` });
    make("rect", { width: WIDTH, height, fill: paper }, svg);
    make("text", { x: LEFT, y: 18, fill: ink, "font-size": 14, "font-weight": 600 }, svg, `${data.track}, ${data.name}:${grouped(data.first + low)}-${grouped(data.first + high - 1)}`);
    this.drawLogo(svg, unit, ink, soft);
    this.drawHeat(svg, unit);
    [...LETTERS].forEach((letter, row) => make("text", { x: LEFT - 8, y: HEAT + row * ROW + 14, fill: ink, "text-anchor": "end" }, svg, letter));
    make("path", { d: `M${LEFT} ${AXIS}H${WIDTH - RIGHT}`, stroke: soft }, svg);
    for (const tick of ticksOf(data.first + low, data.first + high - 1, 8)) {
      if (!Number.isInteger(tick)) continue;
      const x = LEFT + (tick - data.first - low + .5) * unit;
      make("path", { d: `M${x} ${AXIS}v5`, stroke: soft }, svg);
      if (x < WIDTH - 40) make("text", { x, y: AXIS + 18, fill: ink, "text-anchor": "middle" }, svg, grouped(tick));
    }
    make("text", { x: LEFT + inner / 2, y: AXIS + 36, fill: ink, "text-anchor": "middle" }, svg, `Position on ${data.name} (1-based)`);
    this.cursor = make("rect", { fill: "none", stroke: "#222", "stroke-width": 2, visibility: "hidden" }, svg);
    svg.addEventListener("pointermove", (event) => this.point(svg, event));
    this.holder.replaceChildren(svg);
    this.svg = svg;
    this.mark();
  }

  drawLogo(svg, unit, ink, soft) {
    const { data, low, high } = this, part = this.heights.slice(low, high);
    const top = Math.max(...part, 0), bottom = Math.min(...part, 0), span = top - bottom || 1;
    const y = (value) => TOP + (top - value) / span * LOGO;
    make("path", { d: `M${LEFT} ${y(0)}H${WIDTH - RIGHT}`, stroke: soft, "stroke-width": .7 }, svg);
    for (const value of [top, bottom].filter((one) => one !== 0)) make("text", { x: LEFT - 8, y: y(value) + (value > 0 ? 9 : 0), fill: ink, "text-anchor": "end", "font-size": 11 }, svg, shown(value));
    part.forEach((value, index) => {
      const letter = data.bases[low + index], size = Math.abs(y(value) - y(0));
      if (letter === "N" || size < .4) return;
      const fill = colour(`--n${LETTERS.indexOf(letter)}`), x = LEFT + index * unit;
      if (unit < 4) { make("rect", { x, y: Math.min(y(value), y(0)), width: Math.max(unit * .9, .5), height: size, fill }, svg); return; }
      // A capital of this font is .73 of its size high; the text is stretched into its cell.
      const scale = size / 7.3 * Math.sign(value);
      make("text", { transform: `translate(${x + unit / 2} ${y(0)}) scale(${unit / 9} ${scale})`, fill, "text-anchor": "middle", "font-size": 10, "font-weight": 700 }, svg, letter);
    });
  }

  drawHeat(svg, unit) {
    const { data, low, high } = this, cells = new Map(), none = shade(0);
    make("rect", { x: LEFT, y: HEAT, width: (high - low) * unit, height: 4 * ROW, fill: none }, svg);
    for (let i = low; i < high; i += 1) {
      data.effects[i].forEach((value, row) => {
        const fill = value === null ? colour("--unknown") : shade(Math.round(value / this.limit * LEVELS));
        if (fill === none) return;
        const x = (LEFT + (i - low) * unit).toFixed(2);
        cells.set(fill, `${cells.get(fill) ?? ""}M${x} ${HEAT + row * ROW}h${unit.toFixed(2)}v${ROW}h-${unit.toFixed(2)}z`);
      });
    }
    for (const [fill, d] of cells) make("path", { d, fill }, svg);
    if (unit < 4) return;
    for (let i = low; i < high; i += 1) {
      const row = LETTERS.indexOf(data.bases[i]);
      if (row >= 0) make("circle", { cx: LEFT + (i - low + .5) * unit, cy: HEAT + (row + .5) * ROW, r: 2, fill: "#222" }, svg);
    }
  }

  zoom(kind) {
    const { low, high, data } = this, size = high - low, centre = this.at ?? (low + high) / 2;
    const wanted = { in: [centre - size / 4, size / 2], out: [(low + high) / 2 - size, size * 2], left: [low - size / 4, size], right: [low + size / 4, size], reset: [0, data.bases.length] }[kind];
    const length = Math.min(data.bases.length, Math.max(10, Math.round(wanted[1])));
    this.low = Math.round(Math.max(0, Math.min(data.bases.length - length, wanted[0])));
    this.high = this.low + length;
    this.draw();
    this.say(`${data.name}:${grouped(data.first + this.low)}-${grouped(data.first + this.high - 1)}`);
  }

  point(svg, event) {
    const box = svg.getBoundingClientRect(), unit = (WIDTH - LEFT - RIGHT) / (this.high - this.low);
    const x = (event.clientX - box.left) / box.width * WIDTH, y = (event.clientY - box.top) / box.height * (AXIS + 44);
    const at = this.low + Math.floor((x - LEFT) / unit);
    if (at < this.low || at >= this.high) return;
    this.read(at, Math.max(0, Math.min(3, Math.floor((y - HEAT) / ROW))));
  }

  key(event) {
    const zoom = { "+": "in", "=": "in", "-": "out", 0: "reset" }[event.key];
    const along = { ArrowLeft: -1, ArrowRight: 1 }[event.key], across = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!this.data || event.ctrlKey || event.metaKey || event.altKey || !(zoom || along || across)) return;
    event.preventDefault();
    if (zoom) { this.zoom(zoom); return; }
    const start = this.at === null ? Math.floor((this.low + this.high) / 2) : this.at + (along ?? 0);
    this.read(Math.max(this.low, Math.min(this.high - 1, start)), (this.row + (across ?? 0) + 4) % 4);
  }

  read(at, row) {
    [this.at, this.row] = [at, row];
    this.mark();
    const { data } = this, base = data.bases[at], effect = data.effects[at][row];
    const what = base === LETTERS[row] ? "reference base" : effect === null ? "unknown" : `effect ${shown(effect)}`;
    this.say(`${data.name}:${grouped(data.first + at)} ${base} to ${LETTERS[row]}: ${what}`);
  }

  mark() {
    const inside = this.at !== null && this.at >= this.low && this.at < this.high, unit = (WIDTH - LEFT - RIGHT) / (this.high - this.low);
    this.cursor.setAttribute("visibility", inside ? "visible" : "hidden");
    if (!inside) return;
    const box = { x: LEFT + (this.at - this.low) * unit, y: HEAT + this.row * ROW, width: Math.max(unit, 1), height: ROW };
    for (const [key, value] of Object.entries(box)) this.cursor.setAttribute(key, value);
  }

  // The drawing on white, without the cursor.
  saved() {
    forSaving(() => this.draw());
    const made = this.svg.cloneNode(true);
    made.lastElementChild.remove();
    this.draw();
    return made;
  }
}

export const save = (blob, name) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
};
export const svgBlob = (svg) => new Blob([new XMLSerializer().serializeToString(svg)], { type: "image/svg+xml" });
export const pngBlob = async (svg, times = 2) => {
  const address = URL.createObjectURL(svgBlob(svg)), image = new Image();
  try {
    image.src = address;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = Number(svg.getAttribute("width")) * times;
    canvas.height = Number(svg.getAttribute("height")) * times;
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((done) => canvas.toBlob(done, "image/png"));
  } finally {
    URL.revokeObjectURL(address);
  }
};
