// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// Requests to the api-server, and data that stays fresh while it is visible.

const REFRESH_MS = 3000;
const SLOW_MS = 15000; // for a request that costs more, or whose answer rarely changes

class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

// path is relative to Airflow's base URL, without a slash in front.
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
    // Text that is not JSON comes from a proxy and is not shown.
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

// The answer of a path, asked for again after pause(data) milliseconds while the page is visible.
// prepare(answer) makes data of the answer. Returns { path, data, error, again }.
function usePolled(path, { pause = () => REFRESH_MS, prepare = (answer) => answer } = {}) {
  const [state, setState] = useState({ path: null, data: null, error: null });
  const [round, setRound] = useState(0);
  const again = useCallback(() => setRound((n) => n + 1), []);
  const latest = useRef();
  latest.current = { pause, prepare };

  useEffect(() => {
    const stop = new AbortController();
    let timer;
    let isAsking = false;
    const next = (data) => {
      // Nothing is asked for while the page is hidden.
      if (!document.hidden && !stop.signal.aborted) timer = setTimeout(load, latest.current.pause(data));
    };
    const load = async () => {
      if (isAsking) return;
      clearTimeout(timer);
      isAsking = true;
      try {
        const data = latest.current.prepare(await ask(path, { signal: stop.signal }));
        setState({ path, data, error: null });
        next(data);
      } catch (error) {
        if (stop.signal.aborted) return;
        setState((old) => ({ path, data: old.path === path ? old.data : null, error }));
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

  const current = state.path === path ? state : { path, data: null, error: null };
  return { ...current, again };
}
