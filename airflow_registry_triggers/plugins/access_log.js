// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// The page "Access Log". Run as it is: React, its router and Chakra UI are those of Airflow's own UI.
// All that comes from a registry, a receiver or a conf is shown as text and nothing else.

const { React, ReactRouterDOM: Router, ChakraUI: C } = globalThis;
const { useCallback, useEffect, useMemo, useRef, useState } = React;
const h = React.createElement;

const PAGE_SIZE = 50;
const REFRESH_MS = 3000;
const NARROW = 820; // pixels of the page itself: in a tab it may be narrow on a wide screen
const FILTERS = ["status", "trigger", "repository", "tag", "dag_id", "run_id", "task_id", "map_index", "since", "until"];

const RESULTS = {
  delivered: ["Delivered", "green"],
  triggered: ["Triggered", "blue"],
  retrying: ["Retrying", "yellow"],
  failed: ["Failed", "red"],
  blocked: ["Blocked", "orange"],
  untriggered: ["Untriggered", "gray"],
  duplicate: ["Duplicate", "purple"],
};

const STATUSES = [
  ["", "Any status"],
  ["2xx", "HTTP 2xx"],
  ["3xx", "HTTP 3xx"],
  ["4xx", "HTTP 4xx"],
  ["5xx", "HTTP 5xx"],
  ["error", "No answer (any error)"],
  ["timeout", "timeout"],
  ["dns_error", "dns_error"],
  ["connection_refused", "connection_refused"],
  ["connection_reset", "connection_reset"],
  ["unreachable", "unreachable"],
  ["tls_error", "tls_error"],
  ["protocol_error", "protocol_error"],
  ["blocked", "blocked"],
  ["verdict", "Any verdict"],
  ["triggered", "triggered"],
  ["untriggered", "untriggered"],
  ["duplicate", "duplicate"],
];

const TIMES = [
  ["", "Any time"],
  ["15m", "Last 15 minutes"],
  ["1h", "Last hour"],
  ["6h", "Last 6 hours"],
  ["1d", "Last day"],
  ["7d", "Last 7 days"],
  ["30d", "Last 30 days"],
];
const CUSTOM_TIME = "between";

// Text

// Characters that turn a line around, hide, or steer a terminal are shown by their number.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

function plain(value) {
  const text = value === null || value === undefined ? "" : String(value);
  return text.replace(UNSEEN, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function zoneOfAirflow() {
  try {
    const stored = globalThis.localStorage.getItem("timezone");
    const zone = stored && (stored.startsWith('"') ? JSON.parse(stored) : stored);
    new Intl.DateTimeFormat(undefined, { timeZone: zone || undefined });
    return zone || undefined;
  } catch {
    return undefined;
  }
}

function shownTime(text) {
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) return plain(text);
  const parts = new Intl.DateTimeFormat("sv-SE", {
    timeZone: zoneOfAirflow(),
    dateStyle: "short",
    timeStyle: "medium",
  });
  return parts.format(time);
}

function shownDuration(ms) {
  if (ms === null || ms === undefined) return "";
  return ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(ms < 10000 ? 1 : 0)} s`;
}

const shortDigest = (digest) => plain(digest).replace(/^sha256:/, "").slice(0, 12);

const imageName = (entry) => plain(entry.repository) + (entry.tag ? `:${plain(entry.tag)}` : "");

const delivery = (entry) => entry.trigger_log_id.split("/")[0];

const keyOf = (entry) =>
  JSON.stringify([entry.dag_id, entry.run_id, entry.task_id, entry.map_index, entry.trigger_log_id, entry.status_code]);

// Asking the server

class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

async function ask(path, { method = "GET", body, signal } = {}) {
  const answer = await fetch(new URL(path, document.baseURI), {
    method,
    signal,
    credentials: "same-origin",
    headers: { Accept: "application/json", ...(body && { "Content-Type": "application/json" }) },
    body: body && JSON.stringify(body),
  });
  const text = await answer.text();
  let content = null;
  try {
    content = JSON.parse(text);
  } catch {
    // What is no JSON comes from a proxy and is not shown.
  }
  if (answer.ok) return content;
  throw new Refused(answer.status, explained(answer.status, content));
}

function explained(status, content) {
  const detail = content && typeof content.detail === "string" ? plain(content.detail) : "";
  if (status === 401) return "You are not logged in any more. Reload the page to log in.";
  if (status === 403) return "Your role does not allow this.";
  if (status === 409) return detail || "The task is running: wait until it has ended.";
  return detail || `The server answered ${status}.`;
}

function listPath(filters, cursor) {
  const query = new URLSearchParams({ limit: String(PAGE_SIZE) });
  for (const name of FILTERS) {
    if (filters[name]) for (const value of filters[name].split(",")) query.append(name, value);
  }
  if (cursor) query.set("cursor", cursor);
  return `registry-triggers/access-log?${query}`;
}

function identity(entry) {
  const query = new URLSearchParams();
  for (const name of ["dag_id", "run_id", "task_id", "map_index", "trigger_log_id"]) query.set(name, entry[name]);
  return query;
}

// What is on the page now; while it is shown it stays fresh.
function usePage(filters, cursor) {
  const path = listPath(filters, cursor);
  const [state, setState] = useState({ path: null, page: null, error: null });
  const [round, setRound] = useState(0);
  const again = useCallback(() => setRound((n) => n + 1), []);
  const current = state.path === path ? state : { path, page: null, error: null };
  const retrying = Boolean(current.page && current.page.entries.some((entry) => entry.result === "retrying"));
  const live = !cursor || retrying;

  useEffect(() => {
    const stop = new AbortController();
    let timer;
    const next = () => {
      if (live) timer = setTimeout(load, REFRESH_MS);
    };
    const load = async () => {
      if (document.hidden) return next();
      try {
        const page = await ask(path, { signal: stop.signal });
        setState({ path, page, error: null });
      } catch (error) {
        if (stop.signal.aborted) return;
        setState((old) => ({ path, page: old.path === path ? old.page : null, error }));
        if (error.status && error.status < 500) return;
      }
      next();
    };
    load();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [path, round, live]);

  return { ...current, again, retrying };
}

// Small parts

function Result({ entry }) {
  const [label, palette] = RESULTS[entry.result] || [plain(entry.result), "gray"];
  const code = plain(entry.status_code);
  const text = code === entry.result ? label : `${label} · ${code}`;
  return h(C.Badge, { colorPalette: palette, variant: "surface", "data-result": entry.result, whiteSpace: "nowrap" }, text);
}

function Message({ palette = "gray", title, children, action, role = "status" }) {
  return h(
    C.Box,
    { role, borderWidth: "1px", borderRadius: "md", borderColor: "border", colorPalette: palette, bg: palette === "gray" ? "bg.subtle" : "colorPalette.subtle", p: 4 },
    h(C.Text, { fontWeight: "semibold", color: palette === "gray" ? "fg" : "colorPalette.fg" }, title),
    children && h(C.Text, { color: palette === "gray" ? "fg.muted" : "colorPalette.fg", mt: 1, overflowWrap: "anywhere" }, children),
    action && h(C.Box, { mt: 3 }, action),
  );
}

function Field({ label, children }) {
  return h(
    C.Box,
    { as: "label", flex: "1 1 150px", minW: 0, maxW: { base: "100%", md: "260px" } },
    h(C.Text, { as: "span", display: "block", fontSize: "xs", color: "fg.muted", mb: 1 }, label),
    children,
  );
}

function Choice({ label, value, options, onChange }) {
  const known = options.some(([option]) => option === value);
  return h(
    Field,
    { label },
    h(
      C.NativeSelect.Root,
      { size: "sm" },
      h(
        C.NativeSelect.Field,
        { value, onChange: (event) => onChange(event.target.value), "aria-label": label },
        (known ? options : [...options, [value, plain(value)]]).map(([option, text]) => h("option", { key: option, value: option }, text)),
      ),
      h(C.NativeSelect.Indicator),
    ),
  );
}

// Asked for when typing pauses, and at once on Enter.
function Search({ label, value, onChange, hint }) {
  const [draft, setDraft] = useState(value);
  const latest = useRef(onChange);
  latest.current = onChange;
  useEffect(() => setDraft(value), [value]);
  useEffect(() => {
    if (draft === value) return undefined;
    const timer = setTimeout(() => latest.current(draft), 400);
    return () => clearTimeout(timer);
  }, [draft, value]);
  return h(
    Field,
    { label },
    h(C.Input, {
      size: "sm",
      value: draft,
      placeholder: hint,
      "aria-label": label,
      maxLength: 200,
      onChange: (event) => setDraft(event.target.value),
      onKeyDown: (event) => event.key === "Enter" && onChange(draft),
    }),
  );
}

function Moment({ label, value, onChange }) {
  const time = new Date(value);
  const local = Number.isNaN(time.getTime()) ? "" : new Date(time - time.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
  return h(
    Field,
    { label },
    h(C.Input, {
      size: "sm",
      type: "datetime-local",
      "aria-label": label,
      value: local,
      onChange: (event) => onChange(event.target.value ? new Date(event.target.value).toISOString() : ""),
    }),
  );
}

const TIP = "A part, or =the whole";

function Filters({ filters, fixed, set }) {
  const [between, setBetween] = useState(false);
  const isBetween = between || Boolean(filters.until) || Number.isFinite(Date.parse(filters.since || ""));
  const chooseTime = (value) => {
    setBetween(value === CUSTOM_TIME);
    set({ since: value === CUSTOM_TIME ? "" : value, until: "" });
  };
  const search = (name, label) => h(Search, { key: name, label, hint: TIP, value: filters[name] || "", onChange: (value) => set({ [name]: value }) });
  return h(
    C.Flex,
    { as: "form", role: "search", "aria-label": "Filter the access log", wrap: "wrap", gap: 3, mb: 4, onSubmit: (event) => event.preventDefault() },
    h(Choice, { label: "Status", value: filters.status || "", options: STATUSES, onChange: (status) => set({ status }) }),
    search("trigger", "Trigger"),
    search("repository", "Repository"),
    search("tag", "Tag"),
    !fixed.dag_id && h(Search, { label: "Dag", hint: "Its id", value: filters.dag_id || "", onChange: (dag_id) => set({ dag_id }) }),
    h(Choice, {
      label: "Time",
      value: isBetween ? CUSTOM_TIME : filters.since || "",
      options: [...TIMES, [CUSTOM_TIME, "Between …"]],
      onChange: chooseTime,
    }),
    isBetween && h(Moment, { label: "From", value: filters.since, onChange: (since) => set({ since }) }),
    isBetween && h(Moment, { label: "To", value: filters.until, onChange: (until) => set({ until }) }),
  );
}

// What stands in the address and has no field of its own: where an operator link leads.
function Scope({ filters, fixed, set }) {
  const names = ["run_id", "task_id", "map_index"].filter((name) => filters[name] && !fixed[name]);
  if (!names.length) return null;
  return h(
    C.Flex,
    { gap: 2, mb: 4, wrap: "wrap" },
    names.map((name) =>
      h(
        C.Button,
        { key: name, size: "xs", variant: "surface", maxW: "100%", onClick: () => set({ [name]: "" }), "aria-label": `Remove the filter ${name}` },
        h(C.Text, { as: "span", truncate: true }, `${name.replace("_", " ")}: ${plain(filters[name])}`),
        " ✕",
      ),
    ),
  );
}

// An opened entry

const runPath = (entry) => `/dags/${encodeURIComponent(entry.dag_id)}/runs/${encodeURIComponent(entry.run_id)}`;

function logPath(entry, tryNumber) {
  const mapped = entry.map_index >= 0 ? `/mapped/${entry.map_index}` : "";
  return `${runPath(entry)}/tasks/${encodeURIComponent(entry.task_id)}${mapped}?try_number=${tryNumber}`;
}

function To({ to, href, children }) {
  const style = { color: "fg.info", textDecoration: "underline", overflowWrap: "anywhere" };
  return href
    ? h(C.Link, { ...style, href, target: "_blank", rel: "noopener noreferrer" }, children)
    : h(C.Link, { ...style, asChild: true }, h(Router.Link, { to }, children));
}

function Facts({ facts }) {
  return h(
    C.Box,
    { as: "dl", display: "grid", gridTemplateColumns: "minmax(80px, max-content) minmax(0, 1fr)", columnGap: 4, rowGap: 1, fontSize: "sm" },
    facts
      .filter(([, value]) => value !== "" && value !== null && value !== undefined)
      .map(([name, value]) =>
        h(
          React.Fragment,
          { key: name },
          h(C.Box, { as: "dt", color: "fg.muted" }, name),
          h(C.Box, { as: "dd", overflowWrap: "anywhere" }, typeof value === "string" ? plain(value) : value),
        ),
      ),
  );
}

function Raw({ label, children }) {
  return h(
    C.Box,
    {
      as: "pre",
      role: "region",
      tabIndex: 0,
      "aria-label": label,
      dir: "ltr",
      fontSize: "xs",
      fontFamily: "mono",
      bg: "bg",
      color: "fg",
      borderWidth: "1px",
      borderColor: "border",
      borderRadius: "md",
      p: 2,
      mt: 1,
      maxH: "260px",
      overflow: "auto",
      whiteSpace: "pre-wrap",
      overflowWrap: "anywhere",
      style: { unicodeBidi: "isolate" },
    },
    children,
  );
}

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
    lines.length ? h(Raw, { label: `${title}: headers` }, lines.join("\n")) : h(C.Text, { fontSize: "sm", color: "fg.muted" }, "No headers"),
    body ? h(Raw, { label: `${title}: body` }, plain(indented(body))) : h(C.Text, { fontSize: "sm", color: "fg.muted" }, "No body"),
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
  const fresh = `${path}#${entry.result}${entry.status_code}${entry.try_number}`;
  const [state, setState] = useState({ details: null, error: null });
  useEffect(() => {
    const stop = new AbortController();
    ask(path, { signal: stop.signal }).then(
      (details) => setState({ details, error: null }),
      (error) => stop.signal.aborted || setState({ details: null, error }),
    );
    return () => stop.abort();
  }, [fresh]);
  if (state.error) return h(Message, { palette: "red", title: "This entry cannot be shown", role: "alert" }, state.error.message);
  if (!state.details) return h(C.Flex, { align: "center", gap: 2, role: "status" }, h(C.Spinner, { size: "sm" }), "Loading the entry");
  return h(Opened, { details: state.details, onChange });
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
        ["Registry", details.registry],
        ["Digest", entry.digest],
        ["Push", entry.repo_event],
        ["Dag", h(To, { to: `/dags/${encodeURIComponent(entry.dag_id)}` }, plain(entry.dag_id))],
        ["Run", h(To, { to: runPath(entry) }, plain(entry.run_id))],
        ["Task log", h(To, { to: logPath(entry, entry.try_number) }, `${plain(entry.task_id)}${entry.map_index >= 0 ? ` [${entry.map_index}]` : ""}, try ${entry.try_number}`)],
        ["Asset event", details.asset_id === null ? null : h(To, { to: `/assets/${details.asset_id}` }, `${plain(details.asset_uri)}, event ${details.asset_event_id}`)],
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

// What can be done

function Ask({ open, title, children, confirm, busy, error, onConfirm, onClose, done }) {
  return h(
    C.Dialog.Root,
    { open, role: "alertdialog", size: "md", placement: "center", onOpenChange: (event) => event.open || onClose() },
    h(
      C.Portal,
      null,
      h(C.Dialog.Backdrop),
      h(
        C.Dialog.Positioner,
        { px: 3 },
        h(
          C.Dialog.Content,
          null,
          h(C.Dialog.Header, null, h(C.Dialog.Title, null, title)),
          h(C.Dialog.Body, null, children, error && h(C.Box, { mt: 3 }, h(Message, { palette: "red", role: "alert", title: "It did not work" }, error))),
          h(
            C.Dialog.Footer,
            null,
            h(C.Button, { variant: "outline", onClick: onClose }, done ? "Close" : "Cancel"),
            !done && h(C.Button, { onClick: onConfirm, loading: busy, colorPalette: "brand" }, confirm),
          ),
        ),
      ),
    ),
  );
}

function useAction(action) {
  const [state, setState] = useState({ open: false, busy: false, error: "", done: null });
  const open = () => setState({ open: true, busy: false, error: "", done: null });
  const close = () => setState((old) => ({ ...old, open: false }));
  const run = async (...values) => {
    setState((old) => ({ ...old, busy: true, error: "" }));
    try {
      const done = await action(...values);
      setState((old) => ({ ...old, busy: false, done, open: done !== null }));
    } catch (error) {
      setState((old) => ({ ...old, busy: false, error: error.message }));
    }
  };
  return { ...state, open, isOpen: state.open, close, run };
}

function Redeliver({ details, onChange }) {
  const { entry, deliveries, may_redeliver: may } = details;
  const action = useAction(async () => {
    await ask(`api/v2/dags/${encodeURIComponent(entry.dag_id)}/clearTaskInstances`, {
      method: "POST",
      body: {
        dry_run: false,
        dag_run_id: entry.run_id,
        task_ids: [entry.map_index >= 0 ? [entry.task_id, entry.map_index] : entry.task_id],
        only_failed: false,
        prevent_running_task: true,
      },
    });
    onChange();
    return null;
  });
  const count = deliveries === 1 ? "1 notification" : `${deliveries} notifications`;
  return h(
    React.Fragment,
    null,
    h(C.Button, { size: "sm", variant: "outline", disabled: !may, title: may ? undefined : "Your role may not clear this task", onClick: action.open }, "Redeliver"),
    h(
      Ask,
      { open: action.isOpen, title: `Send ${count} again?`, confirm: "Redeliver", busy: action.busy, error: action.error, onConfirm: () => action.run(), onClose: action.close },
      h(C.Text, { overflowWrap: "anywhere" }, `This clears the task ${plain(entry.task_id)}${entry.map_index >= 0 ? ` [${entry.map_index}]` : ""} of run ${plain(entry.run_id)}. It sends ${count} again, delivered or not, with the same webhook-ids.`),
    ),
  );
}

function sampleOf(entry) {
  const digest = /^[a-z0-9+._-]+:[0-9a-fA-F]{32,}$/.test(entry.digest) ? entry.digest : `sha256:${"0".repeat(64)}`;
  const name = entry.repository.split("/");
  return {
    push_data: { digest, pushed_at: new Date().toISOString().slice(0, 19).replace("T", " "), tag: entry.tag },
    repository: { name: name[name.length - 1], namespace: name.slice(0, -1).join("/"), repo_full_name: entry.repository },
  };
}

function TestTrigger({ details, onChange }) {
  const { entry, may_test: may } = details;
  const [text, setText] = useState("");
  const action = useAction(async () => {
    let notification;
    try {
      notification = JSON.parse(text);
    } catch (error) {
      throw new Error(`This is no JSON: ${error.message}`);
    }
    const run = await ask(`api/v2/dags/${encodeURIComponent(entry.dag_id)}/dagRuns`, {
      method: "POST",
      body: { logical_date: null, conf: { notification } },
    });
    onChange();
    return { dag_id: entry.dag_id, run_id: run.dag_run_id };
  });
  const open = () => {
    setText(JSON.stringify(sampleOf(entry), null, 2));
    action.open();
  };
  return h(
    React.Fragment,
    null,
    h(C.Button, { size: "sm", variant: "outline", disabled: !may, title: may ? undefined : "Your role may not start a run", onClick: open }, "Test"),
    h(
      Ask,
      { open: action.isOpen, title: `Test ${plain(entry.dag_id)}?`, confirm: "Start the test", busy: action.busy, error: action.error, done: action.done, onConfirm: () => action.run(), onClose: action.close },
      action.done
        ? h(C.Text, { role: "status" }, "Started: ", h(To, { to: runPath(action.done) }, plain(action.done.run_id)))
        : h(
            C.Box,
            null,
            h(C.Text, { mb: 2 }, "This starts a run of the Dag with this notification in its conf. Where its rule triggers, webhooks are really sent."),
            h(C.Textarea, { "aria-label": "Notification", fontFamily: "mono", fontSize: "xs", rows: 12, value: text, onChange: (event) => setText(event.target.value) }),
          ),
    ),
  );
}

// The list

function Toggle({ entry, isOpen, onToggle }) {
  return h(
    C.Button,
    {
      size: "xs",
      variant: "ghost",
      minW: 6,
      px: 1,
      "aria-expanded": isOpen,
      "aria-label": `${isOpen ? "Close" : "Open"} the entry of ${imageName(entry)}, ${plain(entry.status_code)}`,
      onClick: (event) => {
        event.stopPropagation();
        onToggle();
      },
    },
    isOpen ? "▾" : "▸",
  );
}

const tries = (entry) => (entry.trigger_url ? String(entry.attempts.length + 1) : "");

function Rows({ entries, opened, toggle, onChange }) {
  const head = ["", "Time", "Status", "Trigger", "Image", "Digest", "Reason", "Duration", "Tries"];
  const text = { overflowWrap: "anywhere", whiteSpace: "normal" };
  return h(
    C.Box,
    { overflowX: "auto" },
    h(
      C.Table.Root,
      { size: "sm", "aria-label": "Access log" },
      h(
        C.Table.Header,
        null,
        h(C.Table.Row, null, head.map((name) => h(C.Table.ColumnHeader, { key: name, scope: "col" }, name || h("span", { style: { position: "absolute", width: 1, height: 1, overflow: "hidden", clipPath: "inset(50%)" } }, "Open")))),
      ),
      h(
        C.Table.Body,
        null,
        entries.map((entry) => {
          const key = keyOf(entry);
          const isOpen = opened === key;
          return h(
            React.Fragment,
            { key },
            h(
              C.Table.Row,
              { "data-testid": "access-log-entry", cursor: "pointer", verticalAlign: "top", _hover: { bg: "bg.muted" }, onClick: () => toggle(key) },
              h(C.Table.Cell, { px: 0 }, h(Toggle, { entry, isOpen, onToggle: () => toggle(key) })),
              h(C.Table.Cell, { whiteSpace: "nowrap" }, h("time", { dateTime: plain(entry.request_time) }, shownTime(entry.request_time))),
              h(C.Table.Cell, null, h(Result, { entry })),
              h(C.Table.Cell, text, plain(entry.trigger_name)),
              h(C.Table.Cell, text, imageName(entry)),
              h(C.Table.Cell, { fontFamily: "mono", fontSize: "xs", title: plain(entry.digest) }, shortDigest(entry.digest)),
              h(C.Table.Cell, { ...text, minW: "160px" }, plain(entry.reason)),
              h(C.Table.Cell, { whiteSpace: "nowrap", textAlign: "end" }, shownDuration(entry.duration_ms)),
              h(C.Table.Cell, { textAlign: "end" }, tries(entry)),
            ),
            isOpen &&
              h(C.Table.Row, null, h(C.Table.Cell, { colSpan: head.length, bg: "bg.subtle", p: 4 }, h(Details, { entry, onChange }))),
          );
        }),
      ),
    ),
  );
}

function Cards({ entries, opened, toggle, onChange }) {
  return h(
    C.Box,
    { as: "ul", listStyleType: "none", "aria-label": "Access log" },
    entries.map((entry) => {
      const key = keyOf(entry);
      const isOpen = opened === key;
      return h(
        C.Box,
        { as: "li", key, "data-testid": "access-log-entry", borderWidth: "1px", borderColor: "border", borderRadius: "md", p: 3, mb: 2 },
        h(
          C.Flex,
          { justify: "space-between", align: "start", gap: 2 },
          h(C.Box, { minW: 0 }, h(Result, { entry }), h(C.Text, { fontSize: "xs", color: "fg.muted", mt: 1 }, shownTime(entry.request_time))),
          h(Toggle, { entry, isOpen, onToggle: () => toggle(key) }),
        ),
        h(C.Text, { mt: 1, fontWeight: "semibold", overflowWrap: "anywhere" }, imageName(entry)),
        h(C.Text, { fontSize: "sm", overflowWrap: "anywhere" }, plain(entry.trigger_name)),
        h(C.Text, { fontSize: "sm", color: "fg.muted", overflowWrap: "anywhere" }, plain(entry.reason)),
        h(C.Text, { fontSize: "xs", color: "fg.muted", fontFamily: "mono" }, [shortDigest(entry.digest), shownDuration(entry.duration_ms), tries(entry) && `tries: ${tries(entry)}`].filter(Boolean).join(" · ")),
        isOpen && h(C.Box, { mt: 3 }, h(Details, { entry, onChange })),
      );
    }),
  );
}

function Loading() {
  return h(
    C.Box,
    { role: "status", "aria-label": "Loading the access log" },
    [1, 2, 3, 4].map((n) => h(C.Skeleton, { key: n, height: "36px", mb: 2 })),
  );
}

function Nothing({ filtered, page, clear, older }) {
  if (page.next_cursor) {
    return h(
      Message,
      { title: "Nothing found yet", action: h(C.Button, { size: "sm", onClick: older }, "Search on") },
      "2,000 rows were searched; there are older ones.",
    );
  }
  if (filtered) return h(Message, { title: "Nothing matches the filters", action: h(C.Button, { size: "sm", onClick: clear }, "Clear the filters") });
  return h(Message, { title: "No entries yet" }, "Each verdict of a match task and each delivery of a webhook will leave one here.");
}

function Pages({ page, cursor, newest, older }) {
  if (!page.next_cursor && !cursor) return null;
  return h(
    C.Flex,
    { as: "nav", "aria-label": "Pages", gap: 2, mt: 4, justify: "flex-end" },
    cursor && h(C.Button, { size: "sm", variant: "outline", onClick: newest }, "Newest"),
    page.next_cursor && h(C.Button, { size: "sm", variant: "outline", onClick: older }, page.searched_all ? "Older" : "Search on"),
  );
}

function useWidth() {
  const box = useRef(null);
  const [width, setWidth] = useState(1200);
  React.useLayoutEffect(() => {
    const measure = () => box.current && setWidth(box.current.clientWidth);
    const observer = new ResizeObserver(measure);
    observer.observe(box.current);
    measure();
    return () => observer.disconnect();
  }, []);
  return [box, width];
}

function useFilters(props) {
  const [address, setAddress] = Router.useSearchParams();
  // In a tab the place says of what; on the page of its own the address does.
  const fixed = useMemo(() => {
    const place = { dag_id: props.dagId, run_id: props.runId, task_id: props.taskId, map_index: props.mapIndex };
    if (place.map_index === undefined || place.map_index === "-1") delete place.map_index;
    return Object.fromEntries(Object.entries(place).filter(([, value]) => value));
  }, [props.dagId, props.runId, props.taskId, props.mapIndex]);
  const filters = {};
  for (const name of FILTERS) filters[name] = fixed[name] || address.getAll(name).join(",");
  const change = useCallback(
    (values, options) =>
      setAddress((old) => {
        const next = new URLSearchParams(old);
        for (const [name, value] of Object.entries(values)) {
          if (value) next.set(name, value);
          else next.delete(name);
        }
        return next;
      }, options),
    [setAddress],
  );
  const set = (values) => change({ ...values, cursor: "" }, { replace: true });
  return { filters, fixed, set, cursor: address.get("cursor") || "", go: (cursor) => change({ cursor }) };
}

function AccessLog(props) {
  const { filters, fixed, set, cursor, go } = useFilters(props);
  const { page, error, again, retrying } = usePage(filters, cursor);
  const [opened, setOpened] = useState(null);
  const [box, width] = useWidth();
  const toggle = (key) => setOpened((old) => (old === key ? null : key));
  const filtered = FILTERS.some((name) => filters[name] && !fixed[name]);
  const clear = () => set(Object.fromEntries(FILTERS.map((name) => [name, ""])));
  const older = () => go(page.next_cursor);
  const list = width < NARROW ? Cards : Rows;
  return h(
    C.Box,
    { ref: box, p: 4, height: "100%", overflowY: "auto", "data-testid": "access-log", tabIndex: -1 },
    h(
      C.Flex,
      { justify: "space-between", align: "center", mb: 4, gap: 2, wrap: "wrap" },
      h(C.Heading, { as: "h1", size: "lg" }, "Access Log"),
      h(C.Text, { fontSize: "sm", color: "fg.muted", role: "status" }, retrying ? "Some deliveries are being retried" : ""),
    ),
    h(Filters, { filters, fixed, set }),
    h(Scope, { filters, fixed, set }),
    error && h(C.Box, { mb: 4 }, h(Message, { palette: "red", role: "alert", title: "The access log cannot be read", action: h(C.Button, { size: "sm", variant: "outline", onClick: again }, "Try again") }, error.message)),
    !page && !error && h(Loading),
    page && !page.entries.length && h(Nothing, { filtered, page, clear, older }),
    page && page.entries.length > 0 && h(list, { entries: page.entries, opened, toggle, onChange: again }),
    page && h(Pages, { page, cursor, newest: () => go(""), older }),
  );
}

globalThis["Access Log"] = AccessLog;
