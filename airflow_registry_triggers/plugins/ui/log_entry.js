// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// An opened entry.

const FOLDED_LINES = 40;

function indented(body) {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body.replace(/\r\n/g, "\n");
  }
}

function Part({ title, name, text }) {
  if (!text) return h(C.Text, { fontSize: "sm", color: "fg.muted" }, `No ${name}`);
  const lines = text.split("\n").length;
  return h(
    Fold,
    { title: `${name[0].toUpperCase()}${name.slice(1)} (${counted(lines, "line")})`, open: lines <= FOLDED_LINES },
    h(Raw, { label: `${title}: ${name}` }, text),
  );
}

function Exchange({ title, headers, body, children }) {
  const lines = Object.entries(headers || {}).map(([name, value]) => `${plain(name)}: ${plain(value)}`);
  return h(
    C.Box,
    { flex: "1 1 320px", minW: 0 },
    h(C.Flex, { align: "center", wrap: "wrap", rowGap: 1 }, h(C.Heading, { as: "h3", size: "sm" }, title), children),
    h(Part, { title, name: "headers", text: lines.join("\n") }),
    h(Part, { title, name: "body", text: body && plain(indented(body)) }),
  );
}

const quoted = (text) => `'${text.replace(/'/g, "'\\''")}'`;

// Masked values stay masked: the command shows the request, and cannot repeat its signature.
function asCurl(entry) {
  const headers = Object.entries(entry.request_headers || {}).map(
    ([name, value]) => `-H ${quoted(`${name}: ${value}`)}`,
  );
  const parts = [`curl -X POST ${quoted(entry.trigger_url)}`, ...headers];
  if (entry.request_body) parts.push(`--data-binary ${quoted(entry.request_body)}`);
  return plain(parts.join(" \\\n  "));
}

function Attempts({ entry }) {
  const tries = [...entry.attempts, entry];
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
          " · ",
          h(Time, { at: item.request_time }),
          " · ",
          h("strong", null, statusWord(item.status_code)),
          item.duration_ms === null ? "" : ` · ${shownDuration(item.duration_ms)}`,
          item.reason ? ` · ${bareReason(item)}` : "",
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

function imageFact({ entry, image_page: page }) {
  const image = entry.digest ? `${entry.repository}@${entry.digest}` : `${entry.repository}:${entry.tag}`;
  return h(
    React.Fragment,
    null,
    page ? h(To, { href: page }, imageName(entry)) : imageName(entry),
    h(CopyButton, { text: plain(image), what: "Copy the image with its digest" }),
  );
}

function idFact(entry) {
  const id = plain(entry.trigger_log_id);
  if (!entry.trigger_url) return id;
  return h(React.Fragment, null, id, h(CopyButton, { text: plain(delivery(entry)), what: "Copy the webhook-id" }));
}

function nextTryFact(entry) {
  if (!isRetrying(entry)) return null;
  const left = retriesLeft(entry);
  if (!entry.next_try_at) return left;
  return h(
    React.Fragment,
    null,
    h(Time, { at: entry.next_try_at, short: true }),
    ` (${relativeTime(entry.next_try_at)})${left ? ` · ${left}` : ""}`,
  );
}

function factsOf(details) {
  const { entry } = details;
  const isSent = entry.trigger_url && !["blocked", "dry_run"].includes(entry.result);
  const index = entry.map_index >= 0 ? ` [${entry.map_index}]` : "";
  const asset = details.asset_id !== null && details.asset_id !== undefined;
  return [
    ["Reason", bareReason(entry)],
    ["Next try", nextTryFact(entry)],
    ["Time", h(Time, { at: entry.request_time })],
    ["Trigger", [entry.trigger_name, entry.trigger_type, entry.trigger_tag].filter(Boolean).join(" · ")],
    [isSent ? "Sent to" : "URL", entry.trigger_url],
    ["Id", idFact(entry)],
    ["Image", imageFact(details)],
    ["Registry", entry.registry],
    ["Digest", entry.digest && h(To, { to: logPage({ digest: entry.digest }) }, plain(entry.digest))],
    ["Push", entry.repo_event],
    ["Dag", h(To, { to: dagPath(entry.dag_id) }, plain(entry.dag_id))],
    ["Run", h(To, { to: runPath(entry) }, plain(entry.run_id))],
    [
      "Task log",
      h(To, { to: logPath(entry, entry.try_number) }, `${plain(entry.task_id)}${index}, try ${entry.try_number}`),
    ],
    ["Asset", asset ? h(To, { to: `/assets/${details.asset_id}` }, plain(details.asset_uri)) : null],
    // Airflow's UI has no page of one event; this one lists those that started the run.
    ["Asset event", asset ? h(To, { to: `${runPath(entry)}/asset_events` }, `event ${details.asset_event_id}`) : null],
    ["Task state", entry.task_state],
    ["Ambiguous", entry.ambiguous ? "Bytes were sent and no status came back: it may have arrived." : ""],
  ];
}

function Exchanges({ entry }) {
  if (entry.result === "blocked") return h(C.Text, { mt: 4, fontWeight: "semibold" }, "Nothing was sent.");
  const isDry = entry.result === "dry_run";
  return h(
    React.Fragment,
    null,
    !isDry && h(Attempts, { entry }),
    h(
      C.Flex,
      { gap: 4, wrap: "wrap", mt: 4 },
      h(
        Exchange,
        { title: "Request", headers: entry.request_headers, body: entry.request_body },
        entry.request_body &&
          h(CopyButton, { text: plain(indented(entry.request_body)), what: "Copy the request body" }, "Copy the body"),
        h(CopyButton, { text: asCurl(entry), what: "Copy the request as a curl command" }, "As curl"),
      ),
      isDry
        ? h(C.Text, { flex: "1 1 320px", fontWeight: "semibold" }, "Nothing was sent.")
        : h(Exchange, { title: "Response", headers: entry.response_headers, body: entry.response_body }),
    ),
  );
}

function Opened({ details, onChange }) {
  const { entry } = details;
  const sample = { repository: entry.repository, tag: entry.tag, digest: entry.digest };
  return h(
    C.Box,
    null,
    h(
      C.Flex,
      { gap: 2, mb: 3, wrap: "wrap", align: "center" },
      entry.trigger_url && h(Redeliver, { details, onChange }),
      h(TestTrigger, {
        dagId: entry.dag_id,
        taskId: details.match_task_id,
        name: entry.trigger_name || entry.dag_id,
        may: details.may_test,
        sample,
        onStarted: onChange,
      }),
      entry.notification_id &&
        h(To, { to: logPage({ notification_id: entry.notification_id }), fontSize: "sm" }, "All entries of this push"),
    ),
    h(Facts, { facts: factsOf(details) }),
    entry.trigger_url && h(Exchanges, { entry }),
  );
}
