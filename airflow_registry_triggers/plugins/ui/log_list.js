// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// The list: rows, or cards where it is narrow.

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
        h(
          C.Table.Row,
          null,
          head.map((name) =>
            h(
              C.Table.ColumnHeader,
              { key: name, scope: "col" },
              name ||
                h(
                  "span",
                  { style: { position: "absolute", width: 1, height: 1, overflow: "hidden", clipPath: "inset(50%)" } },
                  "Open",
                ),
            ),
          ),
        ),
      ),
      h(
        C.Table.Body,
        null,
        entries.map((entry) => {
          const { key } = entry;
          const isOpen = opened === key;
          return h(
            React.Fragment,
            { key },
            h(
              C.Table.Row,
              {
                "data-testid": "access-log-entry",
                cursor: "pointer",
                verticalAlign: "top",
                _hover: { bg: "bg.muted" },
                onClick: () => toggle(key),
              },
              h(C.Table.Cell, { px: 0 }, h(Toggle, { entry, isOpen, onToggle: () => toggle(key) })),
              h(
                C.Table.Cell,
                { whiteSpace: "nowrap" },
                h("time", { dateTime: plain(entry.request_time) }, shownTime(entry.request_time)),
              ),
              h(C.Table.Cell, null, h(Result, { entry })),
              h(C.Table.Cell, { ...text, minW: "90px" }, plain(entry.trigger_name)),
              h(C.Table.Cell, { ...text, minW: "190px" }, imageName(entry)),
              h(
                C.Table.Cell,
                { fontFamily: "mono", fontSize: "xs", title: plain(entry.digest) },
                shortDigest(entry.digest),
              ),
              h(C.Table.Cell, { ...text, minW: "160px" }, plain(entry.reason)),
              h(C.Table.Cell, { whiteSpace: "nowrap", textAlign: "end" }, shownDuration(entry.duration_ms)),
              h(C.Table.Cell, { textAlign: "end" }, tries(entry)),
            ),
            isOpen &&
              h(
                C.Table.Row,
                null,
                h(C.Table.Cell, { colSpan: head.length, bg: "bg.subtle", p: 4 }, h(Details, { entry, onChange })),
              ),
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
      const { key } = entry;
      const isOpen = opened === key;
      return h(
        C.Box,
        {
          as: "li",
          key,
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
            h(C.Text, { fontSize: "xs", color: "fg.muted", mt: 1 }, shownTime(entry.request_time)),
          ),
          h(Toggle, { entry, isOpen, onToggle: () => toggle(key) }),
        ),
        h(C.Text, { mt: 1, fontWeight: "semibold", overflowWrap: "anywhere" }, imageName(entry)),
        h(C.Text, { fontSize: "sm", overflowWrap: "anywhere" }, plain(entry.trigger_name)),
        h(C.Text, { fontSize: "sm", color: "fg.muted", overflowWrap: "anywhere" }, plain(entry.reason)),
        h(
          C.Text,
          { fontSize: "xs", color: "fg.muted", fontFamily: "mono" },
          [shortDigest(entry.digest), shownDuration(entry.duration_ms), tries(entry) && `tries: ${tries(entry)}`]
            .filter(Boolean)
            .join(" · "),
        ),
        isOpen && h(C.Box, { mt: 3 }, h(Details, { entry, onChange })),
      );
    }),
  );
}

function Nothing({ filtered, page, clear, older, dagId }) {
  if (page.next_cursor) {
    return h(
      Message,
      { title: "Nothing found yet", action: h(C.Button, { size: "sm", onClick: older }, "Search on") },
      "What was read so far holds no entry that matches; there is older.",
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
    "A push shows up here when a match task has run, also one that does not match. Before that, a wrong password or " +
      "repository shows only in the log of the triggerer or of the sensor.",
  );
}

function Pages({ page, cursor, hasEntries, newest, older }) {
  if (!page.next_cursor && !cursor) return null;
  return h(
    C.Flex,
    { as: "nav", "aria-label": "Pages", gap: 2, mt: 4, justify: "flex-end" },
    cursor && h(C.Button, { size: "sm", variant: "outline", onClick: newest }, "Newest"),
    page.next_cursor &&
      hasEntries &&
      h(C.Button, { size: "sm", variant: "outline", onClick: older }, page.searched_all ? "Older" : "Search on"),
  );
}
