// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// Asking the server.

const PAGE_SIZE = 50;
const REFRESH_MS = 3000;
const SLOW_MS = 15000; // where a look costs more, or little is expected
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
  if (answer.ok && content !== null) return content;
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

const isRetrying = (page) => page.entries.some((entry) => entry.result === "retrying");

function pauseAfter(filters, cursor, page) {
  const searches = filters.trigger || filters.repository || filters.tag || (page && !page.searched_all);
  const isOld = cursor && page && !isRetrying(page);
  return searches || isOld ? SLOW_MS : REFRESH_MS;
}

async function askForPage(path, signal) {
  const page = await ask(path, { signal });
  return { ...page, entries: keyed(page.entries) };
}

// What is on the page now; while it is shown it stays fresh.
function usePage(filters, cursor) {
  const path = listPath(filters, cursor);
  const [state, setState] = useState({ path: null, page: null, error: null });
  const [round, setRound] = useState(0);
  const again = useCallback(() => setRound((n) => n + 1), []);
  const current = state.path === path ? state : { path, page: null, error: null };

  useEffect(() => {
    const stop = new AbortController();
    let timer;
    let isAsking = false;
    const next = (page) => {
      // Where nobody looks nothing is asked for, until somebody does.
      if (!document.hidden && !stop.signal.aborted) timer = setTimeout(load, pauseAfter(filters, cursor, page));
    };
    const load = async () => {
      if (isAsking) return;
      clearTimeout(timer);
      isAsking = true;
      try {
        const page = await askForPage(path, stop.signal);
        setState({ path, page, error: null });
        next(page);
      } catch (error) {
        if (stop.signal.aborted) return;
        setState((old) => ({ path, page: old.path === path ? old.page : null, error }));
        if (!error.status || error.status >= 500) next(null);
      } finally {
        isAsking = false;
      }
    };
    const onVisible = () => document.hidden || load();
    document.addEventListener("visibilitychange", onVisible);
    load();
    return () => {
      stop.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onVisible);
    };
  }, [path, round]);

  return { ...current, again };
}
