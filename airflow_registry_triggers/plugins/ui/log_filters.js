// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// The filters, which are part of the address.

// A value names the parameter and its text: the first group filters by result, the second by status.
const RESULT_CHOICES = [
  ["", "All"],
  ["result:failed,retrying", "Failed or retrying"],
  ...Object.entries(RESULTS).map(([name, [label]]) => [`result:${name}`, label]),
  [
    "HTTP status",
    [
      ...["2xx", "3xx", "4xx", "5xx"].map((name) => [`status:${name}`, name]),
      ...Object.entries(STATUS_WORDS)
        .filter(([name]) => name !== "verdict")
        .map(([name, label]) => [`status:${name}`, label]),
    ],
  ],
];

const TEST_CHOICES = [
  ["", "Show"],
  ["hide", "Hide"],
  ["only", "Only tests"],
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

const TIP = "part or =whole";

function Filters({ filters, fixed, set }) {
  const [between, setBetween] = useState(false);
  const isBetween = between || Boolean(filters.until) || Number.isFinite(Date.parse(filters.since || ""));
  const chooseTime = (value) => {
    setBetween(value === CUSTOM_TIME);
    set({ since: value === CUSTOM_TIME ? "" : value, until: "" });
  };
  const chosen = filters.result ? `result:${filters.result}` : filters.status && `status:${filters.status}`;
  const search = (name, label) =>
    h(Search, { key: name, label, hint: TIP, value: filters[name] || "", onChange: (value) => set({ [name]: value }) });
  return h(
    C.Box,
    {
      as: "form",
      role: "search",
      "aria-label": "Filter the access log",
      display: "grid",
      gridTemplateColumns: "repeat(auto-fit, minmax(min(112px, 30%), 1fr))",
      gap: 2,
      mb: 3,
      onSubmit: (event) => event.preventDefault(),
    },
    h(Choice, {
      label: "Result",
      value: chosen,
      options: RESULT_CHOICES,
      unknown: (filters.result || filters.status).split(",").map(statusWord).join(", "),
      onChange: (value) => {
        const [name, text] = value.split(":");
        set({ result: "", status: "", ...(name && { [name]: text }) });
      },
    }),
    search("trigger", "Trigger"),
    search("repository", "Repository"),
    search("tag", "Tag"),
    !fixed.dag_id &&
      h(Search, { label: "Dag", hint: "Its id", value: filters.dag_id || "", onChange: (dag_id) => set({ dag_id }) }),
    h(Choice, {
      label: "Time",
      value: isBetween ? CUSTOM_TIME : filters.since || "",
      options: [...TIMES, [CUSTOM_TIME, "Between …"]],
      onChange: chooseTime,
    }),
    h(Choice, {
      label: "Tests",
      value: filters.tests || "",
      options: TEST_CHOICES,
      onChange: (tests) => set({ tests }),
    }),
    isBetween && h(Moment, { label: "From", value: filters.since, onChange: (since) => set({ since }) }),
    isBetween && h(Moment, { label: "To", value: filters.until, onChange: (until) => set({ until }) }),
  );
}

// Filters of the address that have no field of their own: those of the link of a task, and of an opened entry.
const SCOPE_WORDS = { notification_id: "push" };

function Scope({ filters, fixed, set }) {
  const names = ["run_id", "task_id", "map_index", "notification_id", "digest"].filter(
    (name) => filters[name] && !fixed[name],
  );
  if (!names.length) return null;
  return h(
    C.Flex,
    { gap: 2, mb: 3, wrap: "wrap" },
    names.map((name) =>
      h(
        C.Button,
        {
          key: name,
          size: "xs",
          variant: "surface",
          maxW: "100%",
          onClick: () => set({ [name]: "" }),
          "aria-label": `Remove the filter ${name}`,
        },
        h(
          C.Text,
          { as: "span", truncate: true },
          `${SCOPE_WORDS[name] || name.replace("_", " ")}: ${plain(filters[name])}`,
        ),
        " ✕",
      ),
    ),
  );
}

function useFilters(props) {
  const [address, setAddress] = Router.useSearchParams();
  // A tab is about its Dag or run; on the page the address has the filters.
  const fixed = useMemo(() => {
    const place = { dag_id: props.dagId, run_id: props.runId, task_id: props.taskId, map_index: props.mapIndex };
    if (place.map_index === undefined || place.map_index === "-1") delete place.map_index;
    return Object.fromEntries(Object.entries(place).filter(([, value]) => value));
  }, [props.dagId, props.runId, props.taskId, props.mapIndex]);
  const filters = {};
  for (const name of FILTERS)
    filters[name] = fixed[name] || (LISTS.includes(name) ? address.getAll(name).join(",") : address.get(name)) || "";
  const change = useChange(setAddress);
  const set = (values) => change({ ...values, cursor: "", entry: "" }, { replace: true });
  return {
    filters,
    fixed,
    set,
    cursor: address.get("cursor") || "",
    go: (cursor) => change({ cursor, entry: "" }),
    opened: address.get("entry") || null,
    open: (entry) => change({ entry }, { replace: true }),
  };
}
