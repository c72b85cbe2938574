// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// The states of triggers in words.

const STATES = {
  broken: ["Broken", "red"],
  paused: ["Paused", "gray"],
  not_watched: ["Not watched", "red"],
  registry_error: ["Registry error", "red"],
  storm: ["Storm held", "orange"],
  baseline: ["Ready", "blue"],
  untriggered: ["Not triggered", "gray"],
  delivery: ["Not delivered", "red"],
  ok: ["OK", "green"],
};

const ERROR_KINDS = {
  credentials: "Login refused",
  no_such_connection: "No such Connection",
  no_such_repository: "No such repository",
  rate_limited: "Rate limited",
  unavailable: "Registry does not answer",
  name: "Registry does not answer",
  proxy: "Registry does not answer",
  tls: "No trusted TLS",
  not_a_registry: "Not a registry",
  configuration: "Wrong Connection",
  sensor: "Sensor failed",
};

function stateLabel(row) {
  const failing = row.watchers.find((watcher) => watcher.error_kind);
  if (row.state === "registry_error" && failing) return ERROR_KINDS[failing.error_kind] || "Registry error";
  if (row.state === "delivery" && row.last_delivery && row.last_delivery.result === "retrying") return "Retrying";
  if (row.state === "baseline") {
    const tags = row.watchers.map((watcher) => watcher.tags).filter((number) => number !== null);
    return tags.length
      ? `Ready, ${counted(
          tags.reduce((sum, number) => sum + number, 0),
          "tag",
        )}`
      : "Ready";
  }
  return (STATES[row.state] || [plain(row.state)])[0];
}

function statePalette(row) {
  if (row.state === "delivery" && row.last_delivery && row.last_delivery.result === "retrying") return "yellow";
  return (STATES[row.state] || ["", "gray"])[1];
}

// The sentence of a state, with its times in the zone that the user chose in Airflow.
function sentenceOf(row) {
  return plain(
    row.why_form.replace(/\{(\d+)\}|\{\{|\}\}/g, (part, number) =>
      number === undefined ? part[0] : shortTime(row.why_times[Number(number)]).replace(/:\d\d$/, ""),
    ),
  );
}

function ruleText(row) {
  const names = { ALL: "every tag", TAG_LIST: "tags", TAG_REG_EXP: "tag_regex", TAG_SEMVER: "semver" };
  if (!row.trigger_type) return "a template";
  return [names[row.trigger_type] || plain(row.trigger_type), plain(row.trigger_tag)].filter(Boolean).join(" ");
}

// "team/app @ registry_good"
const watchedName = (watcher) =>
  [plain(watcher.repository), plain(watcher.registry_conn_id)].filter(Boolean).join(" @ ");

function watchedNames(row) {
  const names = row.watchers.map(watchedName).filter(Boolean);
  return names.length ? names : row.repositories.map(plain);
}

const pushName = (push) => [push.repository, push.tag].map(plain).filter(Boolean).join(":");

// The entries of a trigger in the access log: those with its name, unless only a run knows the name.
function entriesPath(row) {
  const query = new URLSearchParams({ dag_id: row.dag_id });
  const isSensor = row.watchers.some((watcher) => watcher.sensor === row.task_id);
  if (!isSensor && !/\{[{%]/.test(row.trigger_name)) query.set("trigger", `=${row.trigger_name}`);
  return `/plugin/access-log?${query}`;
}

const connectionsPath = (id) => `/connections?${new URLSearchParams({ connection_id_pattern: id })}`;
