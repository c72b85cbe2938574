// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// The data of the access log.

const PAGE_SIZE = 50;
const FILTERS = [
  "status",
  "trigger",
  "repository",
  "tag",
  "dag_id",
  "run_id",
  "task_id",
  "map_index",
  "since",
  "until",
];

function listPath(filters, cursor) {
  const query = new URLSearchParams({ limit: String(PAGE_SIZE) });
  for (const name of FILTERS) {
    // Of a status there may be several; in a name a comma is a comma.
    const values = name === "status" ? filters[name].split(",") : [filters[name]];
    for (const value of values) if (value) query.append(name, value);
  }
  if (cursor) query.set("cursor", cursor);
  return `registry-triggers/access-log?${query}`;
}

function identity(entry) {
  const query = new URLSearchParams();
  for (const name of ["dag_id", "run_id", "task_id", "map_index", "trigger_log_id", "status_code"])
    query.set(name, entry[name]);
  return query;
}

const delivery = (entry) => entry.trigger_log_id.split("/")[0];

// A delivery keeps its key when it is tried again; entries with equal keys are numbered.
function keyed(entries) {
  const counts = new Map();
  return entries.map((entry) => {
    const place = [entry.dag_id, entry.run_id, entry.task_id, entry.map_index, delivery(entry)];
    const key = JSON.stringify(entry.trigger_url ? place : [...place, entry.status_code]);
    const number = counts.get(key) || 0;
    counts.set(key, number + 1);
    return { ...entry, key: `${key}${number}` };
  });
}

const isRetrying = (page) => page.entries.some((entry) => entry.result === "retrying");

function pauseAfter(filters, cursor, page) {
  const searches = filters.trigger || filters.repository || filters.tag || (page && !page.searched_all);
  const isOld = cursor && page && !isRetrying(page);
  return searches || isOld ? SLOW_MS : REFRESH_MS;
}

function usePage(filters, cursor) {
  const { data, ...rest } = usePolled(listPath(filters, cursor), {
    pause: (page) => pauseAfter(filters, cursor, page),
    prepare: (page) => ({ ...page, entries: keyed(page.entries) }),
  });
  return { page: data, ...rest };
}

const RESULTS = {
  delivered: ["Delivered", "green"],
  triggered: ["Triggered", "blue"],
  retrying: ["Retrying", "yellow"],
  failed: ["Failed", "red"],
  blocked: ["Blocked", "orange"],
  untriggered: ["Not triggered", "gray"],
  duplicate: ["Duplicate", "purple"],
  malformed: ["Malformed", "red"],
  dry_run: ["Dry run", "teal"],
};

function Result({ entry }) {
  const [label, palette] = RESULTS[entry.result] || [plain(entry.result), "gray"];
  const code = plain(entry.status_code);
  return h(Badge, { palette, "data-result": entry.result }, code === entry.result ? label : `${label} · ${code}`);
}
