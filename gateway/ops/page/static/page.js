import { Chart, DurationChart } from "./charts.js";
import { Stream } from "./stream.js";
import { Table, set } from "./tables.js";
import { ago, bytes, clock, count, rate, seconds } from "./words.js";

const STALE_MILLISECONDS = 7000;
const HIDDEN_MILLISECONDS = 60000;
const POINTS = 150;
const LOOKS = {
  own: "with its own token",
  new: "by the scout, in a list",
  outside: "by the scout, in a list",
  left: "by the scout, in a range",
  "": "has ended",
};
const STATES = {
  connecting: "connecting",
  live: "live",
  stale: "stale",
  disconnected: "disconnected",
  draining: "draining: the gateway is about to end",
  paused: "paused",
  token: "for operators only",
  forbidden: "not allowed",
  full: "too many are looking",
};

const of = id => document.getElementById(id);
const sum = values => Object.values(values).reduce((all, one) => all + one, 0);
const whose = row => row.token_hash || row.address || "no token";

const spreads = (prefix, spread) => ({
  [`${prefix}half within`]: spread.p50,
  [`${prefix}95 % within`]: spread.p95,
});
const charts = [
  new Chart("Requests a second, by kind", point => point.requests, rate),
  new Chart("Clients that wait", point => ({ waiting: point.waits }), count),
  new DurationChart(
    "From a job's end to its result",
    point => Object.assign({}, ...Object.entries(point.notice).map(([way, spread]) =>
      spreads(`${way}: `, spread))),
    seconds,
  ),
  new DurationChart(
    "Until the orchestrator begins to answer", point => spreads("", point.upstream), seconds,
  ),
  new Chart(
    "Load of the orchestrator",
    point => ({
      "requests a second": point.upstream_requests,
      "failed a second": point.upstream_failed,
      "connections busy": point.busy,
      "waiting for one": point.queued,
    }),
    rate,
  ),
  new Chart("Refused or failed a second, by reason", point => point.refusals, rate),
];
of("charts").append(...charts.map(chart => chart.figure));

const waits = new Table(of("waits"), [
  ["waits", "number", (row, at) => ago(at - row.since)],
  ["job", "word", row => row.job_id],
  ["organization", "word", row => row.organization],
  ["task", "word", row => row.task],
  ["token hash", "word", row => row.token_hash],
  ["hop", "number", row => row.hop],
  ["held", "number", (row, at) => ago(at - row.held_since)],
  ["looked for", "", row => LOOKS[row.look] ?? row.look],
  ["last seen to go on", "number", (row, at) =>
    row.unended_at === null ? "" : `${ago(at - row.unended_at)} ago`],
  ["request", "word", row => row.request_id],
]);
const failures = new Table(of("failures"), [
  ["UTC", "number", row => clock(row.at)],
  ["status", "number", row => row.status || "–"],
  ["reason", "word", row => row.reason],
  ["orchestrator", "number", row => row.upstream_status || "–"],
  ["kind", "", row => row.kind],
  ["method", "word", row => row.method],
  ["target", "word text", row => row.target],
  ["job", "word", row => row.job_id],
  ["token hash", "word", row => row.token_hash],
  ["organization", "word", row => row.organization],
  ["request", "word", row => row.request_id],
  ["program", "text", row => row.user_agent],
]);
const callers = new Table(of("callers"), [
  ["token hash, or address", "word", whose],
  ["organization", "word", row => row.organization],
  ["requests", "number", row => count(row.requests)],
  ["refused or failed", "number", row => count(row.refused)],
]);
const tasks = new Table(of("tasks"), [
  ["organization", "word", row => row.organization],
  ["task", "word", row => row.task],
  ["runs", "number", row => row.runs],
  ["last", "number", row => seconds(row.last)],
  ["half within", "number", row => seconds(row.median)],
  ["most end between", "number", row =>
    row.early === null ? "not known yet" : `${seconds(row.early)} and ${seconds(row.late)}`],
]);
const stores = new Table(of("stores"), [
  ["store", "", row => row.name],
  ["entries", "number", row => row.entries === null ? "" : count(row.entries)],
  ["memory", "number", row => bytes(row.bytes)],
  ["state", "", row => row.state ?? ""],
]);

let points = [], last = null, heardAt = 0, state = "connecting", isPaused = false;

const tile = (name, text) => {
  const id = `tile-${name.replaceAll(" ", "-")}`;
  let value = of(id);
  if (!value) {
    const box = document.createElement("div");
    const term = document.createElement("dt");
    value = document.createElement("dd");
    value.id = id;
    term.textContent = name;
    box.append(term, value);
    of("tiles").append(box);
  }
  set(value, text);
};

const showTiles = shot => {
  const point = shot.point;
  const notices = point ? Object.values(point.notice).map(one => one.p95).filter(one => one) : [];
  tile("clients waiting", count(shot.waits.count));
  tile("requests a second", point ? rate(sum(point.requests)) : "–");
  tile("refused or failed a second", point ? rate(sum(point.refusals)) : "–");
  tile("results: 95 % within", notices.length ? seconds(Math.max(...notices)) : "–");
  tile("orchestrator: 95 % within", point ? seconds(point.upstream.p95) : "–");
  tile("processes", `${shot.answering} of ${shot.processes}`);
};

const counted = (rows, all, what, order) => rows.length < all
  ? `${count(rows.length)} of ${count(all)} ${what}: ${order}`
  : `${count(all)} ${what}`;

const show = shot => {
  set(of("version"), shot.version);
  set(of("trouble"), shot.trouble);
  set(of("since"), `running for ${ago(shot.seconds)}, ${clock(shot.at)} UTC`);
  showTiles(shot);
  for (const chart of charts) chart.draw(points);
  waits.fill(
    shot.waits.rows,
    counted(shot.waits.rows, shot.waits.count, "clients wait", "those that wait the longest, " +
      "and the newest"),
    shot.at,
  );
  failures.fill(shot.failures, "The last of each reason, by the time at which they ended");
  callers.fill(shot.callers, "Requests that ended within the last minute, about");
  tasks.fill(shot.tasks, "What was learned of jobs that were waited for");
  stores.fill(
    [...shot.stores, ...shot.links.map(link => ({
      name: link.name,
      entries: null,
      bytes: null,
      state: link.up >= link.processes ? "works" : `works in ${link.up} of ${link.processes}`,
    }))],
    "What is kept in memory, and what Redis is used for; of all processes together",
  );
};

const tellState = words => {
  const age = performance.now() - heardAt;
  let told = state;
  if (state === "live" && heardAt && age > STALE_MILLISECONDS) told = "stale";
  if (last?.is_draining && (told === "live" || told === "disconnected")) told = "draining";
  if (isPaused) told = "paused";
  const isOld = last !== null && told !== "live";
  const since = isOld && heardAt ? `, last heard of ${ago(age / 1000)} ago` : "";
  set(of("state"), `${STATES[told]}${since}${words ? ` (${words.trim()})` : ""}`);
  of("state").dataset.state = told;
  document.body.classList.toggle("old", isOld);
  of("login").hidden = told !== "token";
};

let answered = "";
const stream = new Stream(
  (name, content) => {
    if (name === "history") points = content;
    if (name !== "snapshot") return;
    last = content;
    heardAt = performance.now();
    if (content.point) {
      // Where the clock was set back there would be points of a time to come.
      points = [...points.filter(point => point.at < content.point.at), content.point];
    }
    points = points.slice(-POINTS);
    show(content);
    tellState("");
  },
  (became, words) => {
    state = became;
    answered = words;
    tellState(words);
  },
);

of("pause").addEventListener("click", () => {
  isPaused = !isPaused;
  of("pause").setAttribute("aria-pressed", String(isPaused));
  set(of("pause"), isPaused ? "Go on" : "Pause");
  if (isPaused) stream.close();
  else stream.open();
  tellState("");
});
let hidden = 0;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hidden);
  if (document.hidden) hidden = setTimeout(() => stream.close(), HIDDEN_MILLISECONDS);
  else if (!isPaused && state !== "token") stream.open();
});
setInterval(() => tellState(answered), 1000);
stream.open();
