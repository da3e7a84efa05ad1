// Holds what fakes of forges were asked and answered against the description that the product publishes of its API.
//
// A request has to be as described, and may name nothing that is not. An answer may leave out what a test has no use for,
// but what it says has to be described, and of the described type.
//
// node check.mjs RECORD PRODUCT DESCRIPTION...: the lines of RECORD that are PRODUCT's.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [record, product, ...descriptions] = process.argv.slice(2);
const beside = createRequire(join(process.env.MODULES ?? process.cwd(), "x.js"));
const Ajv = beside("ajv/dist/2019.js").default;
const formats = beside("ajv-formats").default;
const yaml = beside("yaml");

// Where a fake has its API, if the description does not say so too, and what a product does otherwise than it describes.
const PRODUCTS = {
  Github: { root: "api/v3", known: [] },
  Gitlab: {
    root: "",
    // Answers are described as whatever a version of the server has, with wrong status and without what can be null.
    answers: false,
    known: [
      // What is not described in OpenAPI: <https://gitlab.com/gitlab-org/gitlab/-/issues/486493>.
      /^POST .*\/merge_requests\/\d+\/notes: not described/,
      /^GET .*\/(users|milestones): not described/,
      // Each is needed by one kind of action alone: <https://docs.gitlab.com/api/commits/#create-a-commit-with-multiple-files-and-actions>.
      /\/repository\/commits: asked .*"missingProperty":"(previous_path|execute_filemode)"/,
    ],
  },
  Gitea: {
    root: "api/v1",
    known: [
      // Before 1.26 it was called `Do`, and those after take either; what is put off is answered with 201 since ever.
      /^POST \/repos\/\{owner\}\/\{repo\}\/pulls\/\{index\}\/merge: (asked .*"(do|Do)"|status 201 )/,
    ],
  },
  BitbucketCloud: {
    root: "2.0",
    // What has no value is `null`, and described as if it had one.
    nulls: true,
    known: [
      // Every list has them: <https://developer.atlassian.com/cloud/bitbucket/rest/intro/#filtering> and `#pagination`.
      /^GET .*: no parameter (q|sort|page|pagelen)$/,
      // The kind of an object is required throughout, and left out by the examples.
      /asked .*"missingProperty":"type"/,
      // As the example of the same page has it, beside `summary`; drafts came after the description.
      /\/pullrequests\b.*"unevaluatedProperty":"(description|draft)"/,
      // An account of this kind, `user`, has them.
      /"unevaluatedProperty":"(account_id|nickname)"/,
      // Which fields are wrong: <https://developer.atlassian.com/cloud/bitbucket/rest/intro/#error-response>.
      /answered 400 \/error .*"fields"/,
    ],
  },
  AzureDevops: {
    root: "",
    known: [
      // It answers 201 and describes 200. Who is not known is shown a page to sign in; refusals are not described.
      /^POST .*\/pullrequests: status (201|400|409) is not described/,
      /: status 203 is not described/,
      // Properties stand there by their names, as the description's own example has them.
      /^GET \/\{organization\}\/_apis\/identities: answered 200 \/\d+\/properties .*"unevaluatedProperty"/,
    ],
  },
};
const { root, answers = true, nulls = false, known } = PRODUCTS[product];

const apis = descriptions.map((file) => {
  const text = readFileSync(file, "utf8").replace(/^\uFEFF/, "");
  return file.endsWith(".yaml") ? yaml.parse(text) : JSON.parse(text);
});
const ajv = new Ajv({ strict: false, allErrors: true, logger: false });
formats(ajv);

// What a reference within a description points to.
function pointed(api, ref) {
  const keys = ref.slice(2).split("/").map((key) => decodeURIComponent(key).replace(/~1/g, "/"));
  return keys.reduce((at, key) => at[key], api);
}

// Turns a schema of OpenAPI into one of JSON Schema; `isAnswer` says which of the two rules holds.
function plain(api, schema, isAnswer, seen = [], isPart = false) {
  const of = (inner, part = false) => plain(api, inner, isAnswer, seen, part);
  if (schema === null || typeof schema !== "object") return schema;
  if (Array.isArray(schema)) return schema.map((one) => of(one, isPart));
  if (schema.$ref) {
    if (seen.includes(schema.$ref)) return {};
    return plain(api, pointed(api, schema.$ref), isAnswer, [...seen, schema.$ref], isPart);
  }
  const made = {};
  for (const [key, value] of Object.entries(schema)) {
    if (["example", "examples", "description", "title", "nullable", "default", "discriminator"].includes(key)) continue;
    // What may be anything at all would describe nothing.
    if (key === "additionalProperties" && value === true) continue;
    if (key === "required" && (isAnswer || !Array.isArray(value))) continue;
    if (key === "properties") {
      made.properties = Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, of(inner)]));
    } else if (key === "oneOf" && isAnswer) made.anyOf = of(value);
    else if (key === "allOf") made.allOf = of(value, true);
    else made[key] = of(value);
  }
  // Parts that are put together say all that there is only together.
  const isWhole = (made.properties || made.allOf) && !made.anyOf && !made.oneOf && !isPart;
  if (isWhole && made.additionalProperties === undefined) made.unevaluatedProperties = false;
  return schema.nullable ? { anyOf: [{ type: "null" }, made] } : made;
}

// `value` without what has none.
function valued(value) {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(valued);
  const entries = Object.entries(value).filter(([, inner]) => inner !== null);
  return Object.fromEntries(entries.map(([name, inner]) => [name, valued(inner)]));
}

const segments = (path) => path.split("/").filter(Boolean);
const operations = apis.flatMap((api) => {
  const entries = Object.entries(api.paths);
  return entries.map(([path, methods]) => ({ api, path, methods, template: segments(path) }));
});

// The described path with the fewest names left open that fits.
function found(path) {
  const fits = ({ template }) =>
    template.length === path.length && template.every((part, at) => part.startsWith("{") || part === path[at]);
  const open = ({ template }) => template.filter((part) => part.startsWith("{")).length;
  return operations.filter(fits).sort((a, b) => open(a) - open(b))[0];
}

const compiled = new Map();
function problems(key, api, schema, isAnswer, value) {
  if (!compiled.has(key)) compiled.set(key, ajv.compile(plain(api, schema, isAnswer)));
  const check = compiled.get(key);
  return check(value) ? [] : check.errors.map((error) => `${error.instancePath} ${error.message} ${JSON.stringify(error.params)}`);
}

// What is wrong with the names and values behind the question mark.
function wrongQuery(query, parameters) {
  const described = parameters.filter((one) => one.in === "query");
  const unknown = Object.keys(query).filter((name) => !described.some((one) => one.name === name));
  const missing = described.filter((one) => one.required && !(one.name in query));
  const wrong = described.filter((one) => {
    const allowed = (one.schema ?? one).enum;
    return one.name in query && allowed && !allowed.map(String).includes(query[one.name]);
  });
  return [
    ...unknown.map((name) => `no parameter ${name}`),
    ...missing.map((one) => `no ${one.name}, which is required`),
    ...wrong.map((one) => `${one.name} is ${query[one.name]}, not of ${(one.schema ?? one).enum}`),
  ];
}

function wrongAnswer(what, api, operation, { status, reply }) {
  let answer = operation.responses[status] ?? operation.responses.default;
  if (answer?.$ref) answer = pointed(api, answer.$ref);
  // Whatever is read may not have changed, be forbidden or gone.
  if (!answer) return [304, 401, 404].includes(status) ? [] : [`status ${status} is not described`];
  const shape = answer.content?.["application/json"]?.schema ?? answer.schema;
  if (reply === null || !shape) return [];
  // Azure DevOps puts each list into an object, and does not say so.
  const whole = shape.type === "array" && Array.isArray(reply.value) ? reply.value : reply;
  // Swagger 2 has no word for what may be null.
  const told = api.swagger || nulls ? valued(whole) : whole;
  return problems(`${what} ${status}`, api, shape, true, told).map((text) => `answered ${status} ${text}`);
}

const told = new Set();
const counts = new Map();
for (const line of readFileSync(record, "utf8").split("\n").filter(Boolean)) {
  const one = JSON.parse(line);
  const below = segments(root);
  if (one.product !== product || below.some((part, at) => one.path[at] !== part)) continue;
  const entry = found(one.path.slice(below.length));
  const operation = entry?.methods[one.method.toLowerCase()];
  const what = `${one.method} ${entry ? entry.path : one.path.join("/")}`;
  const tell = (all) => all.forEach((text) => told.add(`${what}: ${text}`));
  if (!operation) {
    if (one.status !== 404) tell(["not described"]);
    continue;
  }
  const { api, methods } = entry;
  counts.set(`${what} ${one.status}`, 1 + (counts.get(`${what} ${one.status}`) ?? 0));
  const all = [...(methods.parameters ?? []), ...(operation.parameters ?? [])];
  const parameters = all.map((each) => (each.$ref ? pointed(api, each.$ref) : each));
  tell(wrongQuery(one.query, parameters));
  const content = operation.requestBody?.$ref ? pointed(api, operation.requestBody.$ref) : operation.requestBody;
  const body = content?.content?.["application/json"] ?? parameters.find((each) => each.in === "body");
  if (one.body !== null && !body) tell(["no body is described"]);
  // What was refused may have been wrong on purpose.
  if (one.body !== null && body && one.status < 400) {
    tell(problems(`${what} in`, api, body.schema, false, one.body).map((text) => `asked ${text}`));
  }
  if (answers) tell(wrongAnswer(what, api, operation, one));
}

if (counts.size === 0) told.add(`nothing of ${product} was recorded`);
const unknown = [...told].filter((text) => !known.some((one) => one.test(text)));
for (const text of unknown) console.error(`${product}: ${text}`);
const sum = [...counts.values()].reduce((sum, count) => sum + count, 0);
console.log(`${product}: ${sum} exchanges of ${counts.size} kinds, ${unknown.length} differences from the description`);
process.exit(unknown.length === 0 ? 0 : 1);
