import { MutationMap, drawBars, grouped, make, pngBlob, save, shown, svgBlob } from "./drawings.js";

const $ = (id) => document.getElementById(id);
const ENDED = ["done", "failed", "cancelled"], ROWS = 50, DRAWN = 60, IN_UNITS = ["ref", "alt", "diff"];
const VARIANT = /^(?!\s*>)[^\n]*(\d\s*[:\s]?\s*[acgtn]+\s*>\s*[acgtn]|:g\.\d|-\d+-[acgtn]+-[acgtn]+\s*$|^\s*rs\d+\s*$|^##fileformat=VCF|^#CHROM)/im;

let model = null, job = null, source = null, page = null, first = 0, sort = { by: "value", up: false };
const map = new MutationMap($("chart"), (text) => { $("readout").textContent = text; });

class Refused extends Error {
  constructor(status, text, after) { super(text); this.status = status; this.after = after; }
}
const call = async (address, options = {}) => {
  let response;
  try { response = await fetch(address, options); } catch { throw new Refused(0, "The server does not answer."); }
  if (response.ok) return response.json();
  let text = `The server refused the request (${response.status}).`;
  try { text = (await response.json()).error ?? text; } catch { /* not JSON */ }
  throw new Refused(response.status, text, response.headers.get("Retry-After"));
};
const showText = (element, text) => { element.textContent = text ?? ""; element.hidden = !text; };
const fill = (select, names, chosen = 0) => {
  select.replaceChildren(...names.map((name, index) => new Option(name, index, index === chosen, index === chosen)));
};
const fail = (error) => {
  if (error.status === 401) { signIn(); return; }
  showText($("error"), error.message);
};

// Models and token.
const signIn = () => { $("sign-in").hidden = false; $("ask").hidden = true; $("about").textContent = "This server asks for a token."; $("token").focus(); };
const start = async () => {
  try { model = await call("/api/model"); } catch (error) {
    if (error.status === 401) signIn(); else $("about").textContent = error.message;
    return;
  }
  const { tracks, models } = model;
  $("about").textContent = `${models.join(", ")}: ${grouped(tracks.length)} track${tracks.length === 1 ? "" : "s"}, windows of ${grouped(model.window)} bases; genome ${model.genome}; danq ${model.danq}`;
  $("sign-in").hidden = true;
  $("ask").hidden = false;
  $("with-ids").hidden = !model.ids;
  $("example-region").textContent = model.examples.region;
  $("example-variant").textContent = model.examples.variant;
  $("effect").replaceChildren(new Option("default", ""), ...model.effects.map((name) => new Option(name, name)));
  const groups = [...new Set(tracks.map((track) => track.group))].filter((name) => name);
  fill($("group"), ["all", ...groups]);
  $("group-label").hidden = !groups.length;
  $("bars").classList.toggle("no-groups", !groups.length);
  const known = location.hash.slice(1);
  if (known) follow(known, true);
};
$("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  showText($("sign-in-error"), null);
  try {
    await call("/api/session", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token: $("token").value }) });
    $("token").value = "";
    await start();
  } catch (error) { showText($("sign-in-error"), error.message); }
});

// Input.
const task = () => document.querySelector("input[name=task]:checked").value;
const choose = (name) => {
  document.querySelector(`input[name=task][value=${name}]`).checked = true;
  $("effect-label").hidden = name !== "mutate";
};
for (const one of document.querySelectorAll("input[name=task]")) one.addEventListener("change", () => choose(task()));
const guess = (text) => {
  const variant = VARIANT.test(text);
  if (variant && task() === "predict") choose("variants");
  else if (!variant && text.trim() && task() === "variants") choose("predict");
};
$("text").addEventListener("input", () => guess($("text").value.slice(0, 2000)));
for (const id of ["example-region", "example-variant"]) {
  $(id).addEventListener("click", () => { $("text").value = $(id).textContent; guess($("text").value); $("text").focus(); });
}
const fileChanged = async () => {
  const file = $("file").files[0];
  $("no-file").hidden = !file;
  $("text").disabled = Boolean(file);
  if (file) guess(await file.slice(0, 2000).text());
};
$("file").addEventListener("change", fileChanged);
$("no-file").addEventListener("click", () => { $("file").value = ""; fileChanged(); $("text").focus(); });
$("text").addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("ask").requestSubmit(); });

// Jobs.
const busy = (on) => { $("run").disabled = on; $("cancel").hidden = !on; $("progress").hidden = !on; if (!on) $("status").textContent = ""; };
$("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  if ($("run").disabled) return;
  showText($("error"), null);
  $("answer").hidden = true;
  const file = $("file").files[0], query = new URLSearchParams({ task: task() });
  if (task() === "mutate" && $("effect").value) query.set("effect", $("effect").value);
  if (file && file.size > model.limits.max_bytes) { fail(new Error(`The file has more than ${grouped(model.limits.max_bytes)} bytes.`)); return; }
  busy(true);
  $("progress").removeAttribute("value");
  try {
    const state = await call(`/api/jobs?${query}`, { method: "POST", headers: { "Content-Type": file ? "application/octet-stream" : "text/plain" }, body: file ?? $("text").value });
    history.replaceState(null, "", `#${state.id}`);
    follow(state.id, false);
  } catch (error) { busy(false); fail(error); }
});
const follow = (id, again) => {
  source?.close();
  busy(true);
  let ended = false;
  const update = (state) => {
    job = state;
    const { done, total } = state;
    $("status").textContent = state.state === "waiting" ? state.ahead ? `waiting; ${state.ahead} before this` : "waiting" : total ? `running: ${grouped(done)} of ${grouped(total)}` : "running";
    if (total) { $("progress").max = total; $("progress").value = done; } else $("progress").removeAttribute("value");
    if (!ENDED.includes(state.state)) return;
    ended = true;
    source.close();
    busy(false);
    if (state.state === "done") showAnswer(); else if (state.state === "failed") fail(new Error(state.error)); else $("status").textContent = "cancelled";
  };
  source = new EventSource(`/api/jobs/${encodeURIComponent(id)}/events`);
  source.addEventListener("message", (event) => update(JSON.parse(event.data)));
  source.addEventListener("error", async () => {
    source.close();
    if (ended) return;
    try { update(await call(`/api/jobs/${encodeURIComponent(id)}`)); if (!ended) setTimeout(() => follow(id, again), 1000); } catch (error) {
      busy(false);
      if (again && error.status === 404) history.replaceState(null, "", location.pathname); else fail(error);
    }
  });
};
const drop = async () => { if (job) { try { await call(`/api/jobs/${job.id}`, { method: "DELETE" }); } catch (error) { fail(error); } } };
$("cancel").addEventListener("click", drop);
$("forget").addEventListener("click", async () => {
  await drop();
  $("answer").hidden = true;
  history.replaceState(null, "", location.pathname);
  $("text").focus();
});

// Answers.
const showAnswer = async () => {
  $("title").textContent = { predict: "Predictions", variants: "Effects of variants", mutate: "Mutagenesis map" }[job.task];
  $("notices").replaceChildren(...job.notices.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
  $("notices").hidden = !job.notices.length;
  $("tsv").href = `/api/jobs/${job.id}/table`;
  $("bars").hidden = job.task === "mutate";
  $("map").hidden = job.task !== "mutate";
  $("rejected").hidden = true;
  try {
    if (job.task === "mutate") await loadMap(0, null); else await loadRows(0);
    $("answer").hidden = false;
    $("answer").focus({ preventScroll: true });
    $("answer").scrollIntoView({ block: "start" });
  } catch (error) { fail(error); }
};
const loadRows = async (from) => {
  page = await call(`/api/jobs/${job.id}/rows?first=${from}&count=${ROWS}`);
  first = from;
  const repeated = (name) => page.names.filter((one) => one === name).length > 1;
  fill($("row"), page.names.map((name, index) => `${first + index + 1}: ${name}${repeated(name) && "start" in page.rows[index] ? ` ${grouped(page.rows[index].start + 1)}-${grouped(page.rows[index].end)}` : ""}`));
  $("more-rows").hidden = page.total <= ROWS;
  $("more-rows").textContent = first + ROWS < page.total ? `Next rows (of ${grouped(page.total)})` : "First rows";
  $("score-label").hidden = !page.scores;
  if (page.scores) fill($("score"), Object.keys(page.scores));
  showRejected();
  showTracks();
};
$("more-rows").addEventListener("click", () => loadRows(first + ROWS < page.total ? first + ROWS : 0).catch(fail));
const showRejected = () => {
  const box = $("rejected");
  box.hidden = !page.rejected_total;
  if (!page.rejected_total) return;
  const head = Object.assign(document.createElement("p"), { textContent: `${grouped(page.rejected_total)} allele${page.rejected_total === 1 ? " has" : "s have"} no scores:` });
  const list = document.createElement("ul");
  list.append(...page.rejected.map((one) => Object.assign(document.createElement("li"), { textContent: `${one.chrom}:${one.pos} ${one.ref}>${one.alt}: ${one.reason}${one.detail ? `: ${one.detail}` : ""}` })));
  box.className = "absent";
  box.replaceChildren(head, list);
};
const shownTracks = () => {
  const row = page.data[Number($("row").value)] ?? [], score = page.scores && Object.values(page.scores)[Number($("score").value)];
  const group = Number($("group").value) ? $("group").selectedOptions[0].textContent : null, query = $("search").value.trim().toLowerCase();
  const all = model.tracks.map((track, index) => {
    const column = score ? score[index] : index;
    return { ...track, value: column === null ? null : row[column] ?? null };
  });
  const kept = all.filter((one) => (group === null || one.group === group) && one.name.toLowerCase().includes(query));
  const key = sort.by;
  kept.sort((a, b) => {
    const order = key === "value" ? Math.abs(a.value ?? -1) - Math.abs(b.value ?? -1) : a[key].localeCompare(b[key], "en", { numeric: true });
    return sort.up ? order : -order;
  });
  return kept;
};
const valueTitle = () => page.scores ? Object.keys(page.scores)[Number($("score").value)] : page.values;
const limitsOf = (rows) => {
  const values = rows.map((one) => one.value).filter((value) => value !== null);
  let [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  if (!page.scores && model.tracks.every((one) => one.kind === "peaks")) high = 1;
  if (low === high) high = 1;
  return [low, high];
};
const showTracks = () => {
  const rows = shownTracks(), [low, high] = limitsOf(rows), x = (value) => (value - low) / (high - low) * 200;
  $("value-title").textContent = valueTitle();
  const meaning = page.meanings[valueTitle()] ?? page.values;
  $("meaning").textContent = `${valueTitle()}: ${meaning}.`;
  $("count").textContent = `${grouped(rows.length)} of ${grouped(model.tracks.length)} tracks`;
  $("tracks").replaceChildren(...rows.map((one) => {
    const line = document.createElement("tr");
    const cell = (name, text, kind) => { const made = document.createElement(name); made.textContent = text; made.className = kind; line.append(made); return made; };
    cell("th", one.name, "text").scope = "row";
    cell("td", one.group, "text");
    cell("td", one.value === null ? "none" : shown(one.value) + (one.unit && (!page.scores || IN_UNITS.includes(valueTitle())) ? ` ${one.unit}` : ""), "number");
    const svg = make("svg", { viewBox: "0 0 200 14", preserveAspectRatio: "none", "aria-hidden": "true" }, cell("td", "", "text"));
    make("path", { class: "zero", d: `M${x(0)} 0V14` }, svg);
    if (one.value !== null) make("rect", { class: one.value < 0 ? "bar c1" : "bar", x: Math.min(x(0), x(one.value)), y: 2, width: Math.abs(x(one.value) - x(0)), height: 10 }, svg);
    return line;
  }));
  for (const header of document.querySelectorAll("#bars thead th")) {
    const by = header.querySelector("button")?.dataset.sort;
    if (by === sort.by) header.setAttribute("aria-sort", sort.up ? "ascending" : "descending"); else header.removeAttribute("aria-sort");
  }
};
for (const id of ["row", "score", "group"]) $(id).addEventListener("change", showTracks);
$("search").addEventListener("input", showTracks);
for (const button of document.querySelectorAll("[data-sort]")) {
  button.addEventListener("click", () => {
    sort = { by: button.dataset.sort, up: sort.by === button.dataset.sort ? !sort.up : button.dataset.sort !== "value" };
    showTracks();
  });
}
const loadMap = async (sequence, track) => {
  let data = await call(`/api/jobs/${job.id}/map?sequence=${sequence}&track=${track ?? 0}`);
  const order = data.strongest.map((value, index) => [value, index]).sort((a, b) => b[0] - a[0]).map(([, index]) => index);
  if (track === null && order[0] !== 0) data = await call(`/api/jobs/${job.id}/map?sequence=${sequence}&track=${order[0]}`);
  fill($("sequence"), data.sequences, sequence);
  $("map-track").replaceChildren(...order.map((index) => new Option(`${model.tracks[index].name} (at most ${shown(data.strongest[index])})`, index, index === (track ?? order[0]), index === (track ?? order[0]))));
  const unit = model.tracks[track ?? order[0]].unit;
  $("map-unit").textContent = `Effect: ${data.values}${unit ? ` (${unit})` : ""}; colours from ${shown(-Math.max(...data.effects.flat().map((value) => Math.abs(value ?? 0))))} to ${shown(Math.max(...data.effects.flat().map((value) => Math.abs(value ?? 0))))}.`;
  $("map").hidden = false;
  map.show(data);
};
$("sequence").addEventListener("change", () => loadMap(Number($("sequence").value), Number($("map-track").value)).catch(fail));
$("map-track").addEventListener("change", () => loadMap(Number($("sequence").value), Number($("map-track").value)).catch(fail));
for (const button of document.querySelectorAll("[data-zoom]")) button.addEventListener("click", () => map.zoom(button.dataset.zoom));
$("chart").addEventListener("keydown", (event) => map.key(event));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (map.data) map.draw(); });

const drawing = () => {
  if (job.task === "mutate") return map.saved();
  const rows = shownTracks().slice(0, DRAWN);
  return drawBars(rows, { title: $("row").selectedOptions[0]?.textContent ?? "", axis: valueTitle(), limits: limitsOf(rows) });
};
$("svg").addEventListener("click", () => save(svgBlob(drawing()), `danq-${job.task}.svg`));
$("png").addEventListener("click", async () => { try { save(await pngBlob(drawing()), `danq-${job.task}.png`); } catch { fail(new Error("The browser cannot draw the plot.")); } });

start();
