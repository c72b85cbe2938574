// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// An opened entry.

function indented(body) {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}

function Exchange({ title, headers, body }) {
  const lines = Object.entries(headers || {}).map(([name, value]) => `${plain(name)}: ${plain(value)}`);
  return h(
    C.Box,
    { flex: "1 1 320px", minW: 0 },
    h(C.Heading, { as: "h3", size: "sm" }, title),
    lines.length
      ? h(Raw, { label: `${title}: headers` }, lines.join("\n"))
      : h(C.Text, { fontSize: "sm", color: "fg.muted" }, "No headers"),
    body
      ? h(Raw, { label: `${title}: body` }, plain(indented(body)))
      : h(C.Text, { fontSize: "sm", color: "fg.muted" }, "No body"),
  );
}

function Attempts({ entry }) {
  const current = { ...entry, isCurrent: true };
  const tries = [...entry.attempts, ...(entry.trigger_url ? [current] : [])];
  if (!tries.length) return null;
  return h(
    C.Box,
    { mt: 4 },
    h(C.Heading, { as: "h3", size: "sm", mb: 1 }, "Attempts"),
    h(
      C.Box,
      { as: "ol", fontSize: "sm", listStyleType: "none" },
      tries.map((item, number) =>
        h(
          C.Box,
          { as: "li", key: number, py: 1, overflowWrap: "anywhere" },
          h(To, { to: logPath(entry, item.try_number || 1) }, `Try ${item.try_number || "?"}`),
          ` · ${shownTime(item.request_time)} · `,
          h("strong", null, plain(item.status_code)),
          item.duration_ms === null ? "" : ` · ${shownDuration(item.duration_ms)}`,
          item.reason ? ` · ${plain(item.reason)}` : "",
          item.ambiguous ? " · it may have arrived" : "",
        ),
      ),
    ),
  );
}

function Details({ entry, onChange }) {
  const path = `registry-triggers/access-log/entry?${identity(entry)}`;
  const [state, setState] = useState({ details: null, error: null });
  useEffect(() => {
    const stop = new AbortController();
    ask(path, { signal: stop.signal }).then(
      (details) => setState({ details, error: null }),
      (error) => stop.signal.aborted || setState((old) => ({ ...old, error })),
    );
    return () => stop.abort();
  }, [path, entry.result, entry.task_state, entry.missingFrom]);
  if (state.details) {
    const note = state.error && h(C.Box, { mb: 3 }, h(Message, { title: "As it was before" }, state.error.message));
    return h(React.Fragment, null, note, h(Opened, { details: state.details, onChange }));
  }
  if (state.error)
    return h(Message, { palette: "red", title: "This entry cannot be shown", role: "alert" }, state.error.message);
  return h(C.Flex, { align: "center", gap: 2, role: "status" }, h(C.Spinner, { size: "sm" }), "Loading the entry");
}

function Opened({ details, onChange }) {
  const { entry } = details;
  return h(
    C.Box,
    null,
    h(
      C.Flex,
      { gap: 2, mb: 3, wrap: "wrap" },
      entry.trigger_url && h(Redeliver, { details, onChange }),
      h(TestTrigger, { details, onChange }),
    ),
    h(Facts, {
      facts: [
        ["Reason", entry.reason],
        ["Trigger", [entry.trigger_name, entry.trigger_type, entry.trigger_tag].filter(Boolean).join(" · ")],
        ["Sent to", entry.trigger_url],
        ["Id", entry.trigger_log_id],
        ["Image", details.image_page ? h(To, { href: details.image_page }, imageName(entry)) : imageName(entry)],
        ["Registry", entry.registry],
        ["Digest", entry.digest],
        ["Push", entry.repo_event],
        ["Dag", h(To, { to: `/dags/${encodeURIComponent(entry.dag_id)}` }, plain(entry.dag_id))],
        ["Run", h(To, { to: runPath(entry) }, plain(entry.run_id))],
        [
          "Task log",
          h(
            To,
            { to: logPath(entry, entry.try_number) },
            `${plain(entry.task_id)}${entry.map_index >= 0 ? ` [${entry.map_index}]` : ""}, try ${entry.try_number}`,
          ),
        ],
        [
          "Asset",
          details.asset_id === null ? null : h(To, { to: `/assets/${details.asset_id}` }, plain(details.asset_uri)),
        ],
        // Airflow's UI has no page of one event; this one lists those that began the run.
        [
          "Asset event",
          details.asset_id === null
            ? null
            : h(To, { to: `${runPath(entry)}/asset_events` }, `event ${details.asset_event_id}`),
        ],
        ["Task state", entry.task_state],
        ["Ambiguous", entry.ambiguous ? "Bytes were sent and no status came back: it may have arrived." : ""],
      ],
    }),
    h(Attempts, { entry }),
    entry.trigger_url &&
      h(
        C.Flex,
        { gap: 4, wrap: "wrap", mt: 4 },
        h(Exchange, { title: "Request", headers: entry.request_headers, body: entry.request_body }),
        h(Exchange, { title: "Response", headers: entry.response_headers, body: entry.response_body }),
      ),
  );
}
