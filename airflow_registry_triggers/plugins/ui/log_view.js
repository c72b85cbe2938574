// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// The view "Access log", and the tab "Pushes".

const NARROW = 640; // pixels of the page itself

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

// The entry of a shared address, while the list does not have it.
function SharedEntry({ entry, onClose, onChange }) {
  return h(
    C.Box,
    { borderWidth: "1px", borderColor: "border", borderRadius: "md", p: 4, mb: 3, "data-testid": "shared-entry" },
    h(
      C.Flex,
      { justify: "space-between", mb: 2 },
      h(C.Heading, { as: "h2", size: "sm" }, "Shared entry"),
      h(C.Button, { size: "xs", variant: "ghost", onClick: onClose }, "Close"),
    ),
    h(Details, { entry, onChange }),
  );
}

function RetryNote({ page, set }) {
  const count = page ? page.entries.filter(isRetrying).length : 0;
  if (!count) return h(C.Text, { fontSize: "sm", role: "status" }, "");
  const more = page.next_cursor ? "At least " : "";
  return h(
    C.Text,
    { fontSize: "sm", role: "status" },
    h(
      C.Button,
      { size: "xs", variant: "plain", px: 0, color: "fg.info", onClick: () => set({ result: "retrying", status: "" }) },
      `${more}${counted(count, "delivery", "deliveries")} ${count === 1 ? "is" : "are"} being retried`,
    ),
  );
}

function Failure({ error, again, clear }) {
  const isFilter = error.status === 400 || error.status === 422;
  const action = isFilter
    ? h(C.Button, { size: "sm", variant: "outline", onClick: clear }, "Clear the filters")
    : h(C.Button, { size: "sm", variant: "outline", onClick: again }, "Try again");
  const title = isFilter ? "This filter is not understood" : "The access log cannot be read";
  return h(C.Box, { mb: 4 }, h(Message, { palette: "red", role: "alert", title, action }, error.message));
}

function AccessLog(props) {
  const { filters, fixed, set, cursor, go, opened, open } = useFilters(props);
  const { page, path, error, again } = usePage(filters, cursor);
  const entries = useKept(page, path, opened);
  const [box, width] = useWidth();
  const navigate = Router.useNavigate();
  const toggle = (key) => open(opened === key ? "" : key);
  const filtered = FILTERS.some((name) => filters[name] && !fixed[name]);
  const clear = () => set(Object.fromEntries(FILTERS.map((name) => [name, ""])));
  const older = () => go(page.next_cursor);
  const newer = window.history.state?.idx > 0 ? () => navigate(-1) : null;
  const shared = page && opened && !entries.some((entry) => entry.key === opened) ? entryOfKey(opened) : null;
  const list = { entries, opened, toggle, onChange: again, width, isTab: Boolean(props.dagId) };
  const note = h(
    C.Flex,
    { gap: 3, align: "center", wrap: "wrap" },
    h(RetryNote, { page, set }),
    h(SendFailed, { filters, onChange: again }),
  );
  return h(
    Frame,
    { box, label: "Access log", note, tabOf: props.dagId, testId: "access-log" },
    h(Filters, { filters, fixed, set }),
    h(Scope, { filters, fixed, set }),
    error && h(Failure, { error, again, clear }),
    shared && h(SharedEntry, { entry: shared, onClose: () => open(""), onChange: again }),
    !page && !error && h(Loading, { label: "Loading the access log" }),
    page && !entries.length && h(Nothing, { filtered, page, clear, older, dagId: props.dagId }),
    entries.length > 0 && h(width < NARROW ? Cards : Rows, list),
    page && h(Pages, { page, cursor, entries, newest: () => go(""), newer, older }),
  );
}

VIEWS.push({ label: "Access log", path: "/plugin/access-log", View: AccessLog });
