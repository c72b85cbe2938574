// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// The list: rows, or cards where it is narrow.

function Toggle({ entry, isOpen, onToggle }) {
  return h(
    C.Button,
    {
      size: "2xs",
      variant: "ghost",
      minW: 5,
      w: 5,
      h: 5,
      px: 0,
      "aria-expanded": isOpen,
      "aria-label": `${isOpen ? "Close" : "Open"} the entry of ${imageName(entry)}, ${plain(entry.status_code)}`,
      onClick: (event) => {
        event.stopPropagation();
        onToggle();
      },
    },
    h(Chevron, { isOpen }),
  );
}

const tries = (entry) => (entry.trigger_url && entry.result !== "blocked" ? String(entry.attempts.length + 1) : "");

function TriggerCell({ entry, isTab }) {
  const name = plain(entry.trigger_name);
  const dag = plain(entry.dag_id);
  // The default name of a trigger begins with its Dag.
  const showsDag = !isTab && name !== dag && !name.startsWith(`${dag}.`);
  return h(
    React.Fragment,
    null,
    h(C.Box, { ...oneLine, lineHeight: "1.25", title: name }, name),
    showsDag && h(C.Box, { ...oneLine, fontSize: "xs", lineHeight: "1.2", color: "fg.muted", title: dag }, dag),
  );
}

// from: the width of the list from which a column is shown; width: of the column, in pixels; share: of the list, at
// least 120 pixels. Reason takes the rest.
const COLUMNS = [
  { name: "Time", from: 0, width: 84, cell: ({ entry }) => h(Time, { at: entry.request_time, short: true }) },
  { name: "Result", from: 0, width: 160, cell: ({ entry }) => h(Result, { entry }) },
  { name: "Trigger", from: 800, share: 0.13, cell: TriggerCell },
  { name: "Image", from: 0, share: 0.19, text: imageName },
  {
    name: "Digest",
    from: 1100,
    width: 108,
    title: "digest",
    text: (entry) => shortDigest(entry.digest),
    mono: true,
  },
  { name: "Reason", from: 0, text: listReason, full: bareReason },
  { name: "Duration", from: 960, width: 84, end: true, text: (entry) => shownDuration(entry.duration_ms) },
  { name: "Tries", from: 1020, width: 50, end: true, text: tries },
];

function Cell({ column, entry, isTab }) {
  const { text, cell, full, title, mono, end } = column;
  const shown = text ? text(entry) : "";
  const whole = full ? full(entry) : title ? plain(entry[title]) : shown;
  return h(
    C.Table.Cell,
    {
      ...oneLine,
      py: 1,
      px: 2,
      textAlign: end ? "end" : undefined,
      ...(mono && { fontFamily: "mono", fontSize: "xs" }),
      title: whole || undefined,
    },
    cell ? cell({ entry, isTab }) : shown,
  );
}

function Head({ columns, width: all }) {
  const hidden = { position: "absolute", width: 1, height: 1, overflow: "hidden", clipPath: "inset(50%)" };
  return h(
    C.Table.Header,
    null,
    h(
      C.Table.Row,
      null,
      h(C.Table.ColumnHeader, { scope: "col", w: "28px", p: 0 }, h("span", { style: hidden }, "Open")),
      columns.map(({ name, width, share, end }) =>
        h(
          C.Table.ColumnHeader,
          {
            key: name,
            scope: "col",
            py: 1,
            px: 2,
            w: share ? `${Math.max(120, Math.round(all * share))}px` : width && `${width}px`,
            textAlign: end ? "end" : undefined,
          },
          name,
        ),
      ),
    ),
  );
}

function Row({ entry, columns, isOpen, isTab, toggle, onChange }) {
  return h(
    React.Fragment,
    null,
    h(
      C.Table.Row,
      {
        "data-testid": "access-log-entry",
        cursor: "pointer",
        verticalAlign: "middle",
        _hover: { bg: "bg.muted" },
        onClick: toggle,
      },
      h(C.Table.Cell, { px: 1, py: 0 }, h(Toggle, { entry, isOpen, onToggle: toggle })),
      columns.map((column) => h(Cell, { key: column.name, column, entry, isTab })),
    ),
    isOpen &&
      h(
        C.Table.Row,
        null,
        h(
          C.Table.Cell,
          { colSpan: columns.length + 1, bg: "bg.subtle", p: 4, whiteSpace: "normal" },
          h(Details, { entry, onChange }),
        ),
      ),
  );
}

function Rows({ entries, opened, toggle, onChange, width, isTab }) {
  const columns = COLUMNS.filter(({ from }) => width >= from);
  return h(
    C.Box,
    { overflowX: "auto" },
    h(
      C.Table.Root,
      { size: "sm", "aria-label": "Access log", tableLayout: "fixed", w: "100%" },
      h(Head, { columns, width }),
      h(
        C.Table.Body,
        null,
        entries.map((entry) => {
          const { key } = entry;
          const row = { key, entry, columns, isTab, onChange, isOpen: opened === key, toggle: () => toggle(key) };
          return h(Row, row);
        }),
      ),
    ),
  );
}

function Card({ entry, isOpen, toggle, onChange }) {
  const small = { fontSize: "xs", color: "fg.muted" };
  const count = tries(entry);
  const facts = [shortDigest(entry.digest), shownDuration(entry.duration_ms), count && `tries: ${count}`];
  return h(
    C.Box,
    {
      as: "li",
      "data-testid": "access-log-entry",
      borderWidth: "1px",
      borderColor: "border",
      borderRadius: "md",
      p: 3,
      mb: 2,
    },
    h(
      C.Flex,
      { justify: "space-between", align: "start", gap: 2 },
      h(
        C.Box,
        { minW: 0 },
        h(Result, { entry }),
        h(C.Text, { ...small, mt: 1 }, h(Time, { at: entry.request_time }), ` · ${relativeTime(entry.request_time)}`),
      ),
      h(Toggle, { entry, isOpen, onToggle: toggle }),
    ),
    h(C.Text, { mt: 1, fontWeight: "semibold", overflowWrap: "anywhere" }, imageName(entry)),
    h(C.Text, { fontSize: "sm", overflowWrap: "anywhere" }, plain(entry.trigger_name)),
    h(C.Text, { fontSize: "sm", color: "fg.muted", overflowWrap: "anywhere" }, listReason(entry)),
    h(C.Text, { ...small, fontFamily: "mono" }, facts.filter(Boolean).join(" · ")),
    isOpen && h(C.Box, { mt: 3 }, h(Details, { entry, onChange })),
  );
}

function Cards({ entries, opened, toggle, onChange }) {
  return h(
    C.Box,
    { as: "ul", listStyleType: "none", "aria-label": "Access log" },
    entries.map((entry) => {
      const { key } = entry;
      return h(Card, { key, entry, onChange, isOpen: opened === key, toggle: () => toggle(key) });
    }),
  );
}

function Nothing({ filtered, page, clear, older, dagId }) {
  if (page.next_cursor) {
    return h(
      Message,
      { title: "Nothing found yet", action: h(C.Button, { size: "sm", onClick: older }, "Search on") },
      "None of the entries that were read matches. Older entries follow.",
    );
  }
  if (filtered)
    return h(Message, {
      title: "Nothing matches the filters",
      action: h(C.Button, { size: "sm", onClick: clear }, "Clear the filters"),
    });
  if (dagId && SLOTS.empty) return h(SLOTS.empty, { dagId });
  return h(
    Message,
    { title: "No entries yet" },
    "A push shows up here when a match task has run, also one that does not match. The view Triggers shows whether a " +
      "repository is watched, and what fails.",
  );
}

function spanText(entries) {
  const times = entries.map((entry) => entry.request_time).sort();
  const [first, last] = [times[times.length - 1], times[0]].map((time) => shortTime(time));
  return `${counted(entries.length, "entry", "entries")}, ${first} to ${last}`;
}

function Pages({ page, cursor, entries, newest, newer, older }) {
  if (!entries.length && !cursor) return null;
  const button = (label, onClick) => h(C.Button, { size: "sm", variant: "outline", onClick }, label);
  return h(
    C.Flex,
    { as: "nav", "aria-label": "Pages", gap: 2, mt: 3, justify: "flex-end", align: "center", wrap: "wrap" },
    entries.length > 0 && h(C.Text, { fontSize: "sm", color: "fg.muted" }, spanText(entries)),
    cursor && button("Newest", newest),
    cursor && newer && button("Newer", newer),
    page.next_cursor && entries.length > 0 && button(page.searched_all ? "Older" : "Search on", older),
  );
}
