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

function Field({ label, children }) {
  return h(
    C.Box,
    { as: "label", minW: 0 },
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
        (known ? options : [...options, [value, plain(value)]]).map(([option, text]) =>
          h("option", { key: option, value: option }, text),
        ),
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
  return h(
    Field,
    { label },
    h(C.Input, {
      size: "sm",
      type: "datetime-local",
      "aria-label": label,
      value: toField(value),
      onChange: (event) => onChange(event.target.value && fromField(event.target.value)),
    }),
  );
}

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
