const $ = (id) => document.getElementById(id);
const make = (name, text, parent) => { const made = document.createElement(name); made.textContent = text; parent.append(made); return made; };
const kind = (schema = {}) => {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.type === "array") return `[${kind(schema.items)}]`;
  if (schema.properties) return `{${Object.entries(schema.properties).map(([name, one]) => `${name}: ${kind(one)}`).join(", ")}}`;
  const range = schema.maximum === undefined ? "" : ` (${schema.minimum} to ${schema.maximum})`;
  return `${[schema.type ?? "any"].flat().join(" or ")}${range}`;
};
const section = (path, method, operation) => {
  const box = make("section", "", $("operations"));
  make("h2", operation.summary, box);
  make("p", `${method.toUpperCase()} ${path}`, box).className = "path";
  if (operation.description) make("p", operation.description, box);
  const list = make("ul", "", box);
  for (const one of operation.parameters ?? []) make("li", `${one.name} (${one.in}${one.required ? ", required" : ""}): ${kind(one.schema)}. ${one.description ?? ""}`, list);
  for (const [type, one] of Object.entries(operation.requestBody?.content ?? {})) make("li", `body ${type}: ${kind(one.schema)}`, list);
  for (const [status, one] of Object.entries(operation.responses)) {
    const [content] = Object.entries(one.content ?? {});
    make("li", `${status}: ${one.description} ${content ? `${content[0]} ${kind(content[1].schema)}` : ""}`, list);
  }
};
const start = async () => {
  const response = await fetch("/api/openapi.json");
  if (!response.ok) { $("about").textContent = "Sign in on the page first."; return; }
  const api = await response.json();
  $("about").textContent = `${api.info.title} ${api.info.version}. ${api.info.description}`;
  const text = { type: "-H 'Content-Type: text/plain'", token: api.security.length ? "-H \"Authorization: Bearer $DANQ_TOKEN\" " : "" };
  $("example").textContent = [
    `curl ${text.token}${text.type} -d 'REGION' '${location.origin}/api/jobs?task=predict'`,
    `curl ${text.token}-H 'Content-Type: application/octet-stream' --data-binary @variants.vcf '${location.origin}/api/jobs?task=variants'`,
    `curl ${text.token}'${location.origin}/api/jobs/ID?wait=30'`,
    `curl ${text.token}'${location.origin}/api/jobs/ID/table' > answer.tsv`,
  ].join("\n");
  for (const [path, operations] of Object.entries(api.paths)) for (const [method, one] of Object.entries(operations)) section(path, method, one);
};
start();
