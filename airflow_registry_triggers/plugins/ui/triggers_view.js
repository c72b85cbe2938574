// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// The view "Triggers".

const NARROW_TRIGGERS = 900; // pixels of the page itself

function TriggerFilterForm({ filters, set, counts }) {
  const number = (state) => (counts && counts[state] ? ` (${counts[state]})` : "");
  const states = Object.entries(STATES).map(([state, [label]]) => [state, `${label}${number(state)}`]);
  return h(
    C.Box,
    {
      as: "form",
      role: "search",
      "aria-label": "Filter the triggers",
      display: "grid",
      gridTemplateColumns: "repeat(auto-fit, minmax(min(160px, 45%), 1fr))",
      gap: 3,
      mb: 4,
      maxW: "720px",
      onSubmit: (event) => event.preventDefault(),
    },
    h(Choice, {
      label: "State",
      value: filters.state,
      options: [["", "Any state"], [PROBLEMS, "Problems only"], ...states],
      onChange: (state) => set({ state }),
    }),
    h(Search, {
      label: "Repository",
      hint: "part or =whole",
      value: filters.repository,
      onChange: (repository) => set({ repository }),
    }),
    h(Search, { label: "Dag", hint: "Its id", value: filters.dag_id, onChange: (dag_id) => set({ dag_id }) }),
  );
}

function NoTriggers({ isFiltered, clear }) {
  if (isFiltered)
    return h(Message, {
      title: "No trigger matches the filters",
      action: h(C.Button, { size: "sm", onClick: clear }, "Clear the filters"),
    });
  return h(
    Message,
    { title: "No trigger yet" },
    "A Dag with a TriggerMatchOperator or a RegistryPushSensor, or a trigger of a trigger file, shows up here after " +
      "Airflow has parsed its file.",
  );
}

function TriggersError({ error, again, clear }) {
  const isFilter = error.status === 400 || error.status === 422;
  return h(
    C.Box,
    { mb: 4 },
    h(
      Message,
      {
        palette: "red",
        role: "alert",
        title: isFilter ? "This filter is not understood" : "The triggers cannot be read",
        action: h(
          C.Button,
          { size: "sm", variant: "outline", onClick: isFilter ? clear : again },
          isFilter ? "Clear the filters" : "Try again",
        ),
      },
      error.message,
    ),
  );
}

function ProblemsNote({ counts, set }) {
  const number = problemsIn(counts);
  if (!number) return null;
  const onClick = () => set({ state: PROBLEMS });
  return h(C.Button, { size: "xs", variant: "surface", colorPalette: "red", onClick }, counted(number, "problem"));
}

function Triggers() {
  const { filters, set, cursor, go } = useTriggerFilters();
  const { data, error, again } = usePolled(triggersPath(filters, cursor), { pause: () => SLOW_MS });
  const [opened, setOpened] = useState(null);
  const [box, width] = useWidth();
  const toggle = (key) => setOpened((old) => (old === key ? null : key));
  const isFiltered = TRIGGER_FILTERS.some((name) => filters[name]);
  const clear = () => set(Object.fromEntries(TRIGGER_FILTERS.map((name) => [name, ""])));
  const list = width < NARROW_TRIGGERS ? TriggerCards : TriggerRows;
  const note = data && h(ProblemsNote, { counts: data.counts, set });
  return h(
    Frame,
    { box, label: "Triggers", note, testId: "triggers" },
    h(TriggerFilterForm, { filters, set, counts: data && data.counts }),
    error && h(TriggersError, { error, again, clear }),
    data && data.unreadable_status_values > 0 && h(UnreadableNote, { number: data.unreadable_status_values }),
    !data && !error && h(Loading, { label: "Loading the triggers" }),
    data && !data.triggers.length && h(NoTriggers, { isFiltered, clear }),
    data && data.triggers.length > 0 && h(list, { rows: data.triggers, opened, toggle, onChange: again }),
    data &&
      (cursor || data.next_cursor) &&
      h(
        C.Flex,
        { as: "nav", "aria-label": "Pages", gap: 2, mt: 4, justify: "flex-end" },
        cursor && h(C.Button, { size: "sm", variant: "outline", onClick: () => go("") }, "First"),
        data.next_cursor &&
          h(C.Button, { size: "sm", variant: "outline", onClick: () => go(data.next_cursor) }, "Next"),
      ),
  );
}

function UnreadableNote({ number }) {
  return h(
    C.Box,
    { mb: 4 },
    h(
      Message,
      { palette: "orange", title: `${counted(number, "status value")} cannot be read` },
      "Some watchers may be shown without their last report. The triggerer writes it again within a minute.",
    ),
  );
}

VIEWS.push({ label: "Triggers", path: "/plugin/registry-triggers", View: Triggers });
