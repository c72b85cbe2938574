// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// Send webhooks again: those of one task instance, or all that failed.

const clearTask = ({ dag_id, run_id, task_id, map_index }) =>
  ask(`api/v2/dags/${encodeURIComponent(dag_id)}/clearTaskInstances`, {
    method: "POST",
    body: {
      dry_run: false,
      dag_run_id: run_id,
      task_ids: [map_index >= 0 ? [task_id, map_index] : task_id],
      only_failed: false,
      prevent_running_task: true,
    },
  });

function taskName(entry) {
  return `'${plain(entry.task_id)}'${entry.map_index >= 0 ? ` [${entry.map_index}]` : ""}`;
}

function redeliverText({ entry, deliveries, run_started_at: started }) {
  const image = `${imageName(entry)} → ${plain(entry.trigger_url)}.`;
  const run = started ? `the run of ${shortTime(started)}` : `run ${plain(entry.run_id)}`;
  const what =
    deliveries === 1
      ? `${image} The receiver gets it again with the same webhook-id, also if it had it.`
      : `All ${deliveries} webhooks of the task, ${image.slice(0, -1)} among them. The receiver gets them again ` +
        "with the same webhook-ids, also those that it had.";
  return `${what} This clears task ${taskName(entry)} of ${run}.`;
}

function Redeliver({ details, onChange }) {
  const { entry, deliveries, may_redeliver: may } = details;
  const action = useAction(async () => {
    await clearTask(entry);
    onChange();
    return null;
  });
  return h(
    React.Fragment,
    null,
    h(ActionButton, { may, reason: "Your role may not clear this task", onClick: action.open }, "Redeliver"),
    h(
      Ask,
      {
        open: action.isOpen,
        title: `Send ${counted(deliveries, "webhook")} again?`,
        confirm: "Send again",
        busy: action.busy,
        error: action.error,
        onConfirm: () => action.run(),
        onClose: action.close,
      },
      h(C.Text, { overflowWrap: "anywhere" }, redeliverText(details)),
    ),
  );
}

const MAX_CLEARS = 100;
const MAX_PAGES = 20;
const SINCE = [
  ["1h", "the last hour"],
  ["6h", "the last 6 hours"],
  ["1d", "the last day"],
  ["7d", "the last 7 days"],
  ["30d", "the last 30 days"],
];

// The task instances with failed deliveries, at most MAX_CLEARS, and the number of these deliveries.
async function findFailed(filters, since, signal) {
  const wanted = { ...filters, result: "failed", status: "", since, until: "" };
  const tasks = new Map();
  let webhooks = 0;
  let cursor = "";
  for (let n = 0; n < MAX_PAGES; n++) {
    const page = await ask(listPath(wanted, cursor, 200), { signal });
    for (const entry of page.entries) {
      const place = JSON.stringify(placeOf(entry));
      if (!tasks.has(place) && tasks.size === MAX_CLEARS) return { tasks: [...tasks.values()], webhooks, isAll: false };
      tasks.set(place, entry);
      webhooks += 1;
    }
    cursor = page.next_cursor;
    if (!cursor) return { tasks: [...tasks.values()], webhooks, isAll: true };
  }
  return { tasks: [...tasks.values()], webhooks, isAll: false };
}

function useFailed(isOpen, filters, since) {
  const [found, setFound] = useState(null);
  const [error, setError] = useState("");
  useEffect(() => {
    setFound(null);
    setError("");
    if (!isOpen) return undefined;
    const stop = new AbortController();
    findFailed(filters, since, stop.signal).then(setFound, (caught) => stop.signal.aborted || setError(caught.message));
    return () => stop.abort();
  }, [isOpen, since, listPath(filters, "")]);
  return { found, error };
}

async function clearAll(tasks, onProgress) {
  const failures = [];
  for (const [number, task] of tasks.entries()) {
    onProgress(number + 1);
    try {
      await clearTask(task);
    } catch (error) {
      failures.push(`${plain(task.dag_id)} ${taskName(task)}, run ${plain(task.run_id)}: ${error.message}`);
    }
  }
  return { cleared: tasks.length - failures.length, failures };
}

function failedText(found) {
  if (!found) return "Counting …";
  if (!found.tasks.length) return "No webhook failed in this time.";
  const more = found.isAll ? "" : ` More failed; this sends those of the newest ${MAX_CLEARS} tasks.`;
  return (
    `${counted(found.webhooks, "webhook")} of ${counted(found.tasks.length, "task")} failed.${more} Each task is ` +
    "cleared once and sends all its webhooks again with the same webhook-ids, also those that were delivered."
  );
}

// filters: those of the list, which limit what is sent again.
function SendFailed({ filters, onChange }) {
  const [since, setSince] = useState("1d");
  const [progress, setProgress] = useState(0);
  const action = useAction(async (tasks) => {
    const done = await clearAll(tasks, setProgress);
    onChange();
    return done;
  });
  const { found, error } = useFailed(action.isOpen && !action.done && !action.busy, filters, since);
  const kept = useRef(null);
  if (found) kept.current = found;
  const shown = action.busy ? kept.current : found;
  const count = shown ? shown.tasks.length : 0;
  const { done } = action;
  const ended = done && [
    h(C.Text, { key: "done", role: "status" }, `${counted(done.cleared, "task")} cleared.`),
    ...done.failures.map((text) => h(C.Text, { key: text, color: "fg.error", overflowWrap: "anywhere" }, text)),
  ];
  return h(
    React.Fragment,
    null,
    h(C.Button, { size: "xs", variant: "outline", onClick: action.open }, "Send failed again …"),
    h(
      Ask,
      {
        open: action.isOpen,
        title: "Send all failed again",
        confirm: count ? `Clear ${counted(count, "task")}` : "",
        busy: action.busy,
        error: action.error || error,
        done,
        onConfirm: () => action.run(shown.tasks),
        onClose: action.close,
      },
      done
        ? ended
        : [
            h(Choice, { key: "since", label: "Since", value: since, options: SINCE, onChange: setSince }),
            h(
              C.Text,
              { key: "text", mt: 3, role: "status" },
              action.busy ? `Clearing ${progress} of ${count}` : failedText(shown),
            ),
          ],
    ),
  );
}
