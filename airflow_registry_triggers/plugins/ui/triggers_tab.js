// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// The triggers of one Dag: the strip on top of its tab "Pushes", and the tab without any entry.

const dagTriggersPath = (dagId) => `registry-triggers/triggers?${new URLSearchParams({ dag_id: dagId, limit: "50" })}`;

const useDagTriggers = (dagId) => usePolled(dagTriggersPath(dagId), { pause: () => SLOW_MS });

function DagTriggers({ dagId }) {
  const { data } = useDagTriggers(dagId);
  if (!data || !data.triggers.length) return null;
  return h(
    C.Box,
    {
      as: "section",
      "aria-label": "Triggers of this Dag",
      borderWidth: "1px",
      borderColor: "border",
      borderRadius: "md",
      px: 3,
      py: 2,
      mb: 3,
    },
    data.triggers.map((row) => h(StripRow, { key: rowKey(row), row })),
  );
}

function StripRow({ row }) {
  return h(
    C.Flex,
    { "data-testid": "trigger-strip", gap: 3, align: "center", wrap: "wrap", py: 1 },
    h(State, { row }),
    h(C.Text, { fontSize: "sm", fontWeight: "semibold", ...oneLine, maxW: "240px" }, plain(row.trigger_name)),
    h(C.Box, { flex: "1 1 240px", minW: 0 }, h(Why, { row })),
    row.watchers.length > 0 && h(LastCheck, { row }),
  );
}

// The tab has nothing to list: say whether something watches, and what a person has to do.
function DagTriggersEmpty({ dagId }) {
  const { data, error } = useDagTriggers(dagId);
  if (error) return h(Message, { palette: "red", role: "alert", title: "The triggers cannot be read" }, error.message);
  if (!data) return h(Loading, { label: "Loading the triggers of this Dag" });
  if (!data.triggers.length) return h(Message, { title: "This Dag has no registry trigger." });
  return data.triggers.map((row) => h(C.Box, { key: rowKey(row), mb: 3 }, h(EmptyState, { row })));
}

function EmptyState({ row }) {
  const failing = row.watchers.find((watcher) => watcher.error_kind);
  if (row.state === "registry_error" && failing) return h(WatchingFailed, { watcher: failing, row });
  if (row.problem)
    return h(Message, { palette: "red", title: `${stateLabel(row)}: ${plain(row.trigger_name)}` }, sentenceOf(row));
  if (row.state === "paused") return h(Message, { title: "Paused" }, sentenceOf(row));
  return h(Message, { title: "No push yet." }, row.watchers.map((watcher) => noPushText(watcher)).join(" "));
}

function noPushText(watcher) {
  const end = "A push shows up here, also one that does not match.";
  if (watcher.sensor) return `${plain(watcher.text)}. ${end}`;
  if (!watcher.polled_at) return `${watchedName(watcher)} was not checked yet. ${end}`;
  const tags = watcher.tags === null ? "" : `; it has ${counted(watcher.tags, "tag")}`;
  return `${watchedName(watcher)} was last checked ${relativeTime(watcher.polled_at)}${tags}. ${end}`;
}

function WatchingFailed({ watcher, row }) {
  const at = watcher.failing_since || watcher.polled_at;
  const id = plain(watcher.registry_conn_id);
  const next = watcher.next_at ? ` Next check at ${shortTime(watcher.next_at)}.` : "";
  const label = ERROR_KINDS[watcher.error_kind] || plain(watcher.error_kind);
  const cause = plain(watcher.note).replace(/^\d{3}: /, "") || sentenceOf(row);
  return h(
    Message,
    {
      palette: "red",
      role: "alert",
      title: `Watching ${plain(watcher.repository)} failed${at ? ` at ${shortTime(at)}` : ""}.`,
      action:
        id &&
        h(
          C.Button,
          { size: "sm", variant: "outline", asChild: true },
          h(Router.Link, { to: connectionsPath(id) }, "Open the Connection"),
        ),
    },
    [label, id && ` (Connection ${id})`, `: ${cause}`, next].join(""),
  );
}

SLOTS.tabTop = DagTriggers;
SLOTS.empty = DagTriggersEmpty;
