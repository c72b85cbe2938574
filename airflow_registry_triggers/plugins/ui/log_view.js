// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// The view "Access log", and the tab "Pushes".

const NARROW = 960; // pixels of the page itself: in a tab it may be narrow on a wide screen

// An opened entry stays where it is while it is not in the list: a new try takes a task's records away until
// it ends, and newer entries push it down.
function useKept(page, path, opened) {
  const kept = useRef(null);
  if (!page) return [];
  const { entries } = page;
  const index = entries.findIndex((entry) => entry.key === opened);
  if (index >= 0) kept.current = { entry: entries[index], index, path };
  const old = kept.current;
  if (index >= 0 || !old || old.path !== path || old.entry.key !== opened) return entries;
  return [...entries.slice(0, old.index), { ...old.entry, missingFrom: page }, ...entries.slice(old.index)];
}

function AccessLog(props) {
  const { filters, fixed, set, cursor, go } = useFilters(props);
  const { page, path, error, again } = usePage(filters, cursor);
  const [opened, setOpened] = useState(null);
  const entries = useKept(page, path, opened);
  const [box, width] = useWidth();
  const toggle = (key) => setOpened((old) => (old === key ? null : key));
  const filtered = FILTERS.some((name) => filters[name] && !fixed[name]);
  const clear = () => set(Object.fromEntries(FILTERS.map((name) => [name, ""])));
  const older = () => go(page.next_cursor);
  const list = width < NARROW ? Cards : Rows;
  const note = h(
    C.Text,
    { fontSize: "sm", color: "fg.muted", role: "status" },
    page && isRetrying(page) ? "Some deliveries are being retried" : "",
  );
  return h(
    Frame,
    { box, label: "Access log", note, tabOf: props.dagId, testId: "access-log" },
    h(Filters, { filters, fixed, set }),
    h(Scope, { filters, fixed, set }),
    error &&
      h(
        C.Box,
        { mb: 4 },
        h(
          Message,
          {
            palette: "red",
            role: "alert",
            title: "The access log cannot be read",
            action: h(C.Button, { size: "sm", variant: "outline", onClick: again }, "Try again"),
          },
          error.message,
        ),
      ),
    !page && !error && h(Loading, { label: "Loading the access log" }),
    page && !entries.length && h(Nothing, { filtered, page, clear, older, dagId: props.dagId }),
    entries.length > 0 && h(list, { entries, opened, toggle, onChange: again }),
    page && h(Pages, { page, cursor, hasEntries: entries.length > 0, newest: () => go(""), older }),
  );
}

VIEWS.push({ label: "Access log", path: "/plugin/access-log", View: AccessLog });
