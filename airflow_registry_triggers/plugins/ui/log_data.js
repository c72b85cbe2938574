// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// The data of the access log, and its words.

const PAGE_SIZE = 50;
const FILTERS = [
  "result",
  "status",
  "tests",
  "trigger",
  "repository",
  "tag",
  "dag_id",
  "run_id",
  "task_id",
  "map_index",
  "notification_id",
  "digest",
  "since",
  "until",
];
const LISTS = ["result", "status"]; // several values, with a comma; in a name a comma is a comma
const SEARCHED = ["result", "tests", "trigger", "repository", "tag", "notification_id", "digest"];

function listPath(filters, cursor, limit = PAGE_SIZE) {
  const query = new URLSearchParams({ limit: String(limit) });
  for (const name of FILTERS) {
    const values = LISTS.includes(name) ? (filters[name] || "").split(",") : [filters[name]];
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
const placeOf = (entry) => [entry.dag_id, entry.run_id, entry.task_id, entry.map_index];

// A delivery keeps its key when it is tried again; entries with equal keys are numbered.
function keyed(entries) {
  const counts = new Map();
  return entries.map((entry) => {
    const parts = [...placeOf(entry), delivery(entry), entry.trigger_url ? "" : entry.status_code];
    const same = JSON.stringify(parts);
    const number = counts.get(same) || 0;
    counts.set(same, number + 1);
    return { ...entry, key: JSON.stringify([...parts, number]) };
  });
}

// The entry of a key that a shared address has; null for any other text.
function entryOfKey(key) {
  try {
    const [dag_id, run_id, task_id, map_index, trigger_log_id, status_code] = JSON.parse(key);
    return { dag_id, run_id, task_id, map_index, trigger_log_id, status_code, key };
  } catch {
    return null;
  }
}

const isRetrying = (entry) => entry.result === "retrying";

function pauseAfter(filters, cursor, page) {
  const searches = SEARCHED.some((name) => filters[name]) || (page && !page.searched_all);
  const isOld = cursor && page && !page.entries.some(isRetrying);
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
  failed: ["Failed", "red"],
  retrying: ["Retrying", "yellow"],
  delivered: ["Delivered", "green"],
  blocked: ["Blocked", "orange"],
  triggered: ["Triggered", "blue"],
  untriggered: ["Not triggered", "gray"],
  duplicate: ["Duplicate", "purple"],
  malformed: ["Malformed", "red"],
  dry_run: ["Dry run", "teal"],
};

const STATUS_WORDS = {
  error: "No answer",
  timeout: "Timeout",
  dns_error: "DNS lookup failed",
  connection_refused: "Connection refused",
  connection_reset: "Connection reset",
  unreachable: "Unreachable",
  tls_error: "TLS error",
  protocol_error: "Not HTTP",
  verdict: "Any match",
};

const statusWord = (code) => STATUS_WORDS[code] || (RESULTS[code] ? RESULTS[code][0] : plain(code));

function Result({ entry }) {
  const [label, palette] = RESULTS[entry.result] || [plain(entry.result), "gray"];
  const code = plain(entry.status_code);
  return h(
    C.Flex,
    { as: "span", display: "inline-flex", gap: 1, maxW: "100%" },
    h(
      Badge,
      { palette, "data-result": entry.result, ...oneLine },
      code === entry.result ? label : `${label} · ${statusWord(code)}`,
    ),
    entry.is_test && h(Badge, { palette: "purple", "data-testid": "test-badge" }, "Test"),
  );
}

// The reason without its note on the next try, which the page shows with its own words.
const bareReason = (entry) => plain(entry.reason).split("; a retry is due at ")[0];

function retriesLeft(entry) {
  const [, left, all] = /(\d+) of (\d+) (?:retries )?left/.exec(entry.reason) || [];
  if (all) return `${left} of ${all} left`;
  return entry.retries_left === null || entry.retries_left === undefined ? "" : `${entry.retries_left} left`;
}

// In the list a delivery says where it went, and only a failure why.
function listReason(entry) {
  if (!entry.trigger_url || entry.result === "blocked") return bareReason(entry);
  if (entry.result === "delivered" || entry.result === "dry_run") return `→ ${shownReceiver(entry.trigger_url)}`;
  const host = shownReceiver(entry.trigger_url, { path: false });
  const said = /^\d+$/.test(entry.status_code) ? `answered ${entry.status_code}` : `: ${bareReason(entry)}`;
  const next = isRetrying(entry) && entry.next_try_at ? ` · next try ${shortTime(entry.next_try_at)}` : "";
  return `${host}${said.startsWith(":") ? "" : " "}${said}${next}`;
}
