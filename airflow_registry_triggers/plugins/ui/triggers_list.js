// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// The list of triggers: rows, or cards where it is narrow.

const TableRow = C.Table.Row;
const TableCell = C.Table.Cell;
const muted = { fontSize: "xs", color: "fg.muted", overflowWrap: "anywhere" };

const State = ({ row }) => h(Badge, { palette: statePalette(row), "data-state": plain(row.state) }, stateLabel(row));

function TriggerName({ row }) {
  return h(
    C.Box,
    { minW: 0 },
    h(
      To,
      { to: entriesPath(row), title: plain(row.trigger_name), display: "block", ...oneLine },
      plain(row.trigger_name),
    ),
    h(
      C.Text,
      { ...muted, ...oneLine, title: plain(row.dag_id) },
      h(To, { to: dagPath(row.dag_id), color: "fg.muted" }, plain(row.dag_id)),
      row.paused && " · paused",
    ),
  );
}

function LastPush({ row }) {
  const { last_push: push, last_match: match } = row;
  if (!push) return h(C.Text, { fontSize: "sm", color: "fg.muted" }, "none");
  return h(
    C.Box,
    { minW: 0 },
    h(C.Text, { fontSize: "sm", overflowWrap: "anywhere", title: plain(push.digest) }, plain(push.tag)),
    h(
      C.Text,
      { ...muted, title: match ? plain(match.reason) : undefined },
      h(Time, { at: push.at, short: true }),
      match && (match.status === "triggered" ? ": matched" : ": did not match"),
    ),
  );
}

function LastDelivery({ row }) {
  const { last_delivery: last } = row;
  if (!last) return h(C.Text, { fontSize: "sm", color: "fg.muted" }, "none");
  return h(
    C.Box,
    { minW: 0, title: plain(last.reason) },
    h(C.Text, { fontSize: "sm", whiteSpace: "nowrap" }, `${plain(last.status)} ${plain(last.result)}`),
    h(
      C.Text,
      muted,
      last.at && h(Time, { at: last.at, short: true }),
      row.next_attempt_at && [", next ", h(Time, { key: "next", at: row.next_attempt_at, short: true })],
    ),
  );
}

function LastCheck({ row }) {
  const [watcher] = row.watchers;
  if (!watcher) return h(C.Text, { fontSize: "sm", color: "fg.muted" }, "none");
  return h(
    C.Box,
    { minW: 0, title: row.watchers.map((item) => plain(item.text)).join("\n") },
    h(
      C.Text,
      { fontSize: "sm", whiteSpace: "nowrap" },
      watcher.polled_at
        ? [h(Time, { key: "at", at: watcher.polled_at, short: true }), ` (${relativeTime(watcher.polled_at)})`]
        : "never",
    ),
    watcher.next_at && h(C.Text, muted, "next ", h(Time, { at: watcher.next_at, short: true })),
  );
}

function Counts({ counts }) {
  const words = `${counts.delivered} delivered, ${counts.failed} failed, ${counts.untriggered} not triggered`;
  return h(
    C.Text,
    { fontSize: "sm", whiteSpace: "nowrap", title: `Runs of 24 hours: ${words}` },
    h("span", { "aria-hidden": true }, `${counts.delivered} / ${counts.failed} / ${counts.untriggered}`),
    h("span", { style: HIDDEN_TEXT }, words),
  );
}

const HIDDEN_TEXT = { position: "absolute", width: 1, height: 1, overflow: "hidden", clipPath: "inset(50%)" };

function Lines({ texts }) {
  return texts.map((text) => h(C.Text, { key: text, fontSize: "sm", ...oneLine, title: text }, text));
}

function Opener({ row, isOpen, onToggle }) {
  return h(
    C.Button,
    {
      size: "2xs",
      variant: "ghost",
      minW: 5,
      px: 1,
      "aria-expanded": isOpen,
      "aria-label": `${isOpen ? "Close" : "Open"} the trigger ${plain(row.trigger_name)}, ${stateLabel(row)}`,
      onClick: onToggle,
    },
    h(Chevron, { isOpen }),
  );
}

const TRIGGER_COLUMNS = [
  ["", "28px"],
  ["State", "150px"],
  ["Trigger", "18%"],
  ["Watches", "18%"],
  ["Receiver", "12%"],
  ["Last push", "13%"],
  ["Last delivery", "12%"],
  ["24 h", "84px"],
  ["Last check", "172px"],
];

function TriggerRows({ rows, opened, toggle, onChange }) {
  return h(
    C.Table.Root,
    { size: "sm", "aria-label": "Triggers", tableLayout: "fixed", width: "100%" },
    h(
      C.Table.Header,
      null,
      h(
        TableRow,
        null,
        TRIGGER_COLUMNS.map(([name, width]) =>
          h(
            C.Table.ColumnHeader,
            {
              key: name,
              scope: "col",
              width,
              px: 2,
              title: name === "24 h" ? "Runs delivered / failed / not triggered" : undefined,
            },
            name || h("span", { style: HIDDEN_TEXT }, "Open"),
          ),
        ),
      ),
    ),
    h(
      C.Table.Body,
      null,
      rows.map((row) => h(TriggerRow, { key: rowKey(row), row, isOpen: opened === rowKey(row), toggle, onChange })),
    ),
  );
}

function TriggerRow({ row, isOpen, toggle, onChange }) {
  const cells = [
    h(Opener, { row, isOpen, onToggle: () => toggle(rowKey(row)) }),
    h(State, { row }),
    h(TriggerName, { row }),
    h(C.Box, { minW: 0 }, h(Lines, { texts: watchedNames(row) }), h(C.Text, { ...muted, ...oneLine }, ruleText(row))),
    h(Lines, { texts: row.receiver ? [shownReceiver(row.receiver)] : [] }),
    h(LastPush, { row }),
    h(LastDelivery, { row }),
    h(Counts, { counts: row.runs_24h }),
    h(LastCheck, { row }),
  ];
  const top = { px: 2, pb: 0, borderBottomWidth: 0, verticalAlign: "top" };
  return h(
    React.Fragment,
    null,
    h(
      TableRow,
      { "data-testid": "trigger", "data-state": plain(row.state) },
      cells.map((cell, number) => h(TableCell, { key: number, ...top, px: number ? 2 : 0 }, cell)),
    ),
    h(
      TableRow,
      null,
      h(TableCell, { p: 0 }),
      h(
        TableCell,
        { colSpan: cells.length - 1, px: 2, pt: 0 },
        h(Why, { row }),
        isOpen && h(TriggerDetails, { row, onChange }),
      ),
    ),
  );
}

const Why = ({ row }) =>
  h(C.Text, { fontSize: "sm", color: row.problem ? "fg" : "fg.muted", overflowWrap: "anywhere" }, sentenceOf(row));

function TriggerCards({ rows, opened, toggle, onChange }) {
  return h(
    C.Box,
    { as: "ul", listStyleType: "none", "aria-label": "Triggers" },
    rows.map((row) => {
      const isOpen = opened === rowKey(row);
      return h(
        C.Box,
        {
          as: "li",
          key: rowKey(row),
          "data-testid": "trigger",
          "data-state": plain(row.state),
          borderWidth: "1px",
          borderColor: "border",
          borderRadius: "md",
          p: 3,
          mb: 2,
        },
        h(
          C.Flex,
          { justify: "space-between", align: "start", gap: 2 },
          h(C.Box, { minW: 0 }, h(State, { row }), h(C.Box, { mt: 1 }, h(TriggerName, { row }))),
          h(Opener, { row, isOpen, onToggle: () => toggle(rowKey(row)) }),
        ),
        h(C.Box, { mt: 1 }, h(Why, { row })),
        h(C.Text, { ...muted, mt: 1 }, [...watchedNames(row), ruleText(row)].join(" · ")),
        h(
          C.Box,
          { mt: 2 },
          h(Facts, {
            facts: [
              ["Last push", h(LastPush, { row })],
              ["Last delivery", h(LastDelivery, { row })],
              ["Last check", h(LastCheck, { row })],
            ],
          }),
        ),
        isOpen && h(TriggerDetails, { row, onChange }),
      );
    }),
  );
}

function TriggerDetails({ row, onChange }) {
  const { last_delivery: last, last_push: push, last_match: match } = row;
  const counts = row.runs_24h;
  const failed = last && last.run_id && last.result === "failed";
  return h(
    C.Box,
    {
      bg: "bg.subtle",
      borderRadius: "md",
      p: 4,
      mt: 2,
      role: "region",
      "aria-label": `Trigger ${plain(row.trigger_name)}`,
    },
    h(WouldMatch, { row }),
    h(TriggerButtons, { row, onChange }),
    h(Facts, {
      facts: [
        ["Rule", ruleText(row)],
        ["Receiver", row.receiver || "none"],
        ["Last push", push && `${pushName(push)}${push.digest ? `@${plain(push.digest)}` : ""}`],
        ["Last match", match && match.reason],
        ["Last delivery", last && [last.status, last.reason].filter(Boolean).join(": ")],
        ["Runs of 24 h", `${counts.delivered} delivered, ${counts.failed} failed, ${counts.untriggered} not triggered`],
        ...row.watchers.map((watcher) => ["Watcher", h(WatcherText, { watcher })]),
        ["Links", h(TriggerLinks, { row, failed })],
      ],
    }),
  );
}

function WatcherText({ watcher }) {
  const note = watcher.error_kind && watcher.note ? ` ${plain(watcher.note)}` : "";
  return h(
    C.Text,
    { as: "span", fontSize: "sm", overflowWrap: "anywhere" },
    `${watchedName(watcher)}: ${plain(watcher.text)}${note}`,
  );
}

function TriggerLinks({ row, failed }) {
  const last = row.last_delivery;
  return h(
    C.Flex,
    { gap: 3, wrap: "wrap" },
    h(To, { to: entriesPath(row) }, "Access log"),
    h(To, { to: dagPath(row.dag_id) }, "Dag"),
    failed && h(To, { to: logPath({ ...last, dag_id: row.dag_id }, "") }, "Failed task, to clear it"),
  );
}
