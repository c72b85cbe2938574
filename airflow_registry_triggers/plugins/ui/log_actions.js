// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// What can be done with an entry: redeliver, test.

function Redeliver({ details, onChange }) {
  const { entry, deliveries, may_redeliver: may } = details;
  const action = useAction(async () => {
    await ask(`api/v2/dags/${encodeURIComponent(entry.dag_id)}/clearTaskInstances`, {
      method: "POST",
      body: {
        dry_run: false,
        dag_run_id: entry.run_id,
        task_ids: [entry.map_index >= 0 ? [entry.task_id, entry.map_index] : entry.task_id],
        only_failed: false,
        prevent_running_task: true,
      },
    });
    onChange();
    return null;
  });
  const count = deliveries === 1 ? "1 notification" : `${deliveries} notifications`;
  return h(
    React.Fragment,
    null,
    h(
      C.Button,
      {
        size: "sm",
        variant: "outline",
        disabled: !may,
        title: may ? undefined : "Your role may not clear this task",
        onClick: action.open,
      },
      "Redeliver",
    ),
    h(
      Ask,
      {
        open: action.isOpen,
        title: `Send ${count} again?`,
        confirm: "Redeliver",
        busy: action.busy,
        error: action.error,
        onConfirm: () => action.run(),
        onClose: action.close,
      },
      h(
        C.Text,
        { overflowWrap: "anywhere" },
        `This clears the task ${plain(entry.task_id)}${entry.map_index >= 0 ? ` [${entry.map_index}]` : ""} ` +
          `of run ${plain(entry.run_id)}. It sends ${count} again, delivered or not, with the same webhook-ids.`,
      ),
    ),
  );
}

function sampleOf(entry) {
  const digest = /^[a-z0-9+._-]+:[0-9a-fA-F]{32,}$/.test(entry.digest) ? entry.digest : `sha256:${"0".repeat(64)}`;
  const name = entry.repository.split("/");
  return {
    push_data: { digest, pushed_at: new Date().toISOString().slice(0, 19).replace("T", " "), tag: entry.tag },
    repository: {
      name: name[name.length - 1],
      namespace: name.slice(0, -1).join("/"),
      repo_full_name: entry.repository,
    },
  };
}

function TestTrigger({ details, onChange }) {
  const { entry, may_test: may } = details;
  const [text, setText] = useState("");
  const action = useAction(async () => {
    let notification;
    try {
      notification = JSON.parse(text);
    } catch (error) {
      throw new Error(`This is no JSON: ${error.message}`);
    }
    const run = await ask(`api/v2/dags/${encodeURIComponent(entry.dag_id)}/dagRuns`, {
      method: "POST",
      body: { logical_date: null, conf: { notification } },
    });
    onChange();
    return { dag_id: entry.dag_id, run_id: run.dag_run_id };
  });
  const open = () => {
    // A character that is not seen stands there as JSON's escape of it.
    setText(plain(JSON.stringify(sampleOf(entry), null, 2)));
    action.open();
  };
  return h(
    React.Fragment,
    null,
    h(
      C.Button,
      {
        size: "sm",
        variant: "outline",
        disabled: !may,
        title: may ? undefined : "Your role may not start a run",
        onClick: open,
      },
      "Test",
    ),
    h(
      Ask,
      {
        open: action.isOpen,
        title: `Test ${plain(entry.dag_id)}?`,
        confirm: "Start the test",
        busy: action.busy,
        error: action.error,
        done: action.done,
        onConfirm: () => action.run(),
        onClose: action.close,
      },
      action.done
        ? h(C.Text, { role: "status" }, "Started: ", h(To, { to: runPath(action.done) }, plain(action.done.run_id)))
        : h(
            C.Box,
            null,
            h(
              C.Text,
              { mb: 2 },
              "This starts a run of the Dag with this notification in its conf. " +
                "If its rule matches, real webhooks are sent.",
            ),
            h(C.Textarea, {
              "aria-label": "Notification",
              fontFamily: "mono",
              fontSize: "xs",
              rows: 12,
              value: text,
              onChange: (event) => setText(event.target.value),
            }),
          ),
    ),
  );
}
