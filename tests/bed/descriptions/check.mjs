// Holds what fakes of forges were asked and answered against the description that the product publishes of its API.
//
// A request has to be as described, and may name nothing that is not. An answer may leave out what a test has no use for,
// but what it says has to be described, and of the described type.
//
// node check.mjs RECORD PRODUCT ROOT DESCRIPTION: the lines of RECORD that are PRODUCT's, whose paths begin with ROOT.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [record, product, root, description] = process.argv.slice(2);
const beside = createRequire(join(process.env.MODULES ?? process.cwd(), "x.js"));
const Ajv = beside("ajv/dist/2019.js").default;
const formats = beside("ajv-formats").default;

const api = JSON.parse(readFileSync(description, "utf8"));
const ajv = new Ajv({ strict: false, allErrors: true, logger: false });
formats(ajv);

// Turns a schema of OpenAPI into one of JSON Schema; `isAnswer` says which of the two rules holds.
function plain(schema, isAnswer, seen = [], isPart = false) {
  if (schema === null || typeof schema !== "object") return schema;
  if (Array.isArray(schema)) return schema.map((one) => plain(one, isAnswer, seen, isPart));
  if (schema.$ref) {
    if (seen.includes(schema.$ref)) return {};
    const found = schema.$ref.slice(2).split("/").reduce((at, key) => at[key.replace(/~1/g, "/")], api);
    return plain(found, isAnswer, [...seen, schema.$ref], isPart);
  }
  const made = {};
  for (const [key, value] of Object.entries(schema)) {
    if (["example", "examples", "description", "title", "nullable", "default"].includes(key)) continue;
    if (key === "required" && isAnswer && Array.isArray(value)) continue;
    if (key === "properties") {
      const entries = Object.entries(value).map(([name, of]) => [name, plain(of, isAnswer, seen)]);
      made.properties = Object.fromEntries(entries);
    } else if (key === "oneOf" && isAnswer) made.anyOf = plain(value, isAnswer, seen);
    else if (key === "allOf") made.allOf = plain(value, isAnswer, seen, true);
    else made[key] = plain(value, isAnswer, seen);
  }
  // Parts that are put together say all that there is only together.
  const isWhole = (made.properties || made.allOf) && !made.anyOf && !made.oneOf && !isPart;
  if (isWhole && made.additionalProperties === undefined) made.unevaluatedProperties = false;
  // Swagger 2, as Gitea writes it, has no word for what may be null.
  const may_be_null = schema.nullable || (isAnswer && api.swagger);
  return may_be_null ? { anyOf: [{ type: "null" }, made] } : made;
}

const templates = Object.entries(api.paths).map(([path, methods]) => [path.slice(1).split("/"), methods, path]);

function found(path) {
  const fits = (template) =>
    template.length === path.length && template.every((part, at) => part.startsWith("{") || part === path[at]);
  // The one with the fewest names left open.
  const open = ([template]) => template.filter((part) => part.startsWith("{")).length;
  return templates.filter(([template]) => fits(template)).sort((a, b) => open(a) - open(b))[0];
}

const compiled = new Map();
function problems(key, schema, isAnswer, value) {
  if (!compiled.has(key)) compiled.set(key, ajv.compile(plain(schema, isAnswer)));
  const check = compiled.get(key);
  return check(value) ? [] : check.errors.map((error) => `${error.instancePath} ${error.message} ${JSON.stringify(error.params)}`);
}

// What a product does otherwise than it describes.
const KNOWN = [
  // Gitea before 1.26 called it `Do`, and those after take either; what is put off is answered with 201 since ever.
  /^POST \/repos\/\{owner\}\/\{repo\}\/pulls\/\{index\}\/merge: (asked .*"(do|Do)"|status 201 )/,
];

const told = new Set();
const counts = new Map();
for (const line of readFileSync(record, "utf8").split("\n").filter(Boolean)) {
  const one = JSON.parse(line);
  const below = root.split("/").filter(Boolean);
  if (one.product !== product || below.some((part, at) => one.path[at] !== part)) continue;
  const entry = found(one.path.slice(below.length));
  const what = `${one.method} ${entry ? entry[2] : one.path.join("/")}`;
  const tell = (all) => all.forEach((text) => told.add(`${what}: ${text}`));
  const operation = entry?.[1][one.method.toLowerCase()];
  if (!operation) {
    if (one.status !== 404) tell(["not described"]);
    continue;
  }
  counts.set(`${what} ${one.status}`, 1 + (counts.get(`${what} ${one.status}`) ?? 0));
  const parameters = [...(entry[1].parameters ?? []), ...(operation.parameters ?? [])].map((one) =>
    one.$ref ? one.$ref.slice(2).split("/").reduce((at, key) => at[key], api) : one);
  const known = parameters.filter((one) => one.in === "query").map((one) => one.name);
  tell(Object.keys(one.query).filter((name) => !known.includes(name)).map((name) => `no parameter ${name}`));
  for (const parameter of parameters.filter((each) => each.in === "query" && each.name in one.query)) {
    const allowed = (parameter.schema ?? parameter).enum;
    const value = one.query[parameter.name];
    if (allowed && !allowed.includes(value)) tell([`${parameter.name} is ${value}, not of ${allowed}`]);
  }
  const body = operation.requestBody?.content?.["application/json"] ?? parameters.find((one) => one.in === "body");
  if (one.body !== null && !body) tell(["no body is described"]);
  // What was refused may have been wrong on purpose.
  if (one.body !== null && body && one.status < 400) tell(problems(`${what} in`, body.schema, false, one.body).map((text) => `asked ${text}`));
  let answer = operation.responses[one.status] ?? operation.responses.default;
  if (answer?.$ref) answer = answer.$ref.slice(2).split("/").reduce((at, key) => at[key], api);
  if (!answer) {
    if (![401, 404].includes(one.status)) tell([`status ${one.status} is not described`]);
    continue;
  }
  const shape = answer.content?.["application/json"]?.schema ?? answer.schema;
  if (one.reply !== null && shape) tell(problems(`${what} ${one.status}`, shape, true, one.reply).map((text) => `answered ${one.status} ${text}`));
}

for (const [what, count] of [...counts].sort()) console.log(`${String(count).padStart(6)} ${what}`);
if (counts.size === 0) told.add(`nothing of ${product} was recorded`);
const unknown = [...told].filter((text) => !KNOWN.some((known) => known.test(text)));
for (const text of unknown) console.error(text);
process.exit(unknown.length === 0 ? 0 : 1);
