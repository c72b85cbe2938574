// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// The filters, which stand in the address.

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

const TIP = "part or =whole";

function Filters({ filters, fixed, set }) {
  const [between, setBetween] = useState(false);
  const isBetween = between || Boolean(filters.until) || Number.isFinite(Date.parse(filters.since || ""));
  const chooseTime = (value) => {
    setBetween(value === CUSTOM_TIME);
    set({ since: value === CUSTOM_TIME ? "" : value, until: "" });
  };
  const search = (name, label) =>
    h(Search, { key: name, label, hint: TIP, value: filters[name] || "", onChange: (value) => set({ [name]: value }) });
  return h(
    C.Box,
    {
      as: "form",
      role: "search",
      "aria-label": "Filter the access log",
      display: "grid",
      gridTemplateColumns: "repeat(auto-fit, minmax(min(130px, 45%), 1fr))",
      gap: 3,
      mb: 4,
      onSubmit: (event) => event.preventDefault(),
    },
    h(Choice, {
      label: "Status",
      value: filters.status || "",
      options: STATUSES,
      onChange: (status) => set({ status }),
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
        {
          key: name,
          size: "xs",
          variant: "surface",
          maxW: "100%",
          onClick: () => set({ [name]: "" }),
          "aria-label": `Remove the filter ${name}`,
        },
        h(C.Text, { as: "span", truncate: true }, `${name.replace("_", " ")}: ${plain(filters[name])}`),
        " ✕",
      ),
    ),
  );
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
  for (const name of FILTERS)
    filters[name] = fixed[name] || (name === "status" ? address.getAll(name).join(",") : address.get(name)) || "";
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
