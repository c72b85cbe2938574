// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// The test of a trigger: a run whose conf has a notification, as a dry run or for real.

const VALID_DIGEST = /^[a-z0-9+._-]+:[0-9a-fA-F]{32,}$/;

// entry has repository, tag, digest.
function sampleOf(entry) {
  const digest = VALID_DIGEST.test(entry.digest || "") ? entry.digest : `sha256:${"0".repeat(64)}`;
  const name = (entry.repository || "team/app").split("/");
  return {
    push_data: { digest, pushed_at: new Date().toISOString().slice(0, 19).replace("T", " "), tag: entry.tag || "" },
    repository: { name: name[name.length - 1], namespace: name.slice(0, -1).join("/"), repo_full_name: name.join("/") },
  };
}

function withTag(text, tag) {
  let notification;
  try {
    notification = JSON.parse(text);
  } catch (error) {
    throw new Error(`The notification is not JSON: ${error.message}`);
  }
  return { ...notification, push_data: { ...notification.push_data, tag } };
}

// The verdict of the rule of a match task on a tag; empty where the rule cannot be asked.
function useVerdict(isOpen, dagId, taskId, repository, tag) {
  const [verdict, setVerdict] = useState("");
  useEffect(() => {
    setVerdict("");
    if (!isOpen || !taskId || !tag) return undefined;
    const stop = new AbortController();
    const query = new URLSearchParams({ dag_id: dagId, task_id: taskId, tag, repository });
    const show = (found) => setVerdict(plain(found.reason));
    const timer = setTimeout(
      () =>
        ask(`registry-triggers/triggers/match?${query}`, { signal: stop.signal }).then(
          show,
          (error) => stop.signal.aborted || setVerdict(error.status === 409 ? error.message : ""),
        ),
      400,
    );
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [isOpen, dagId, taskId, repository, tag]);
  return verdict;
}

const MODES = [
  [true, "Dry run (send nothing)", "The rule, body, headers, signature, URL and host name are checked."],
  [false, "Send", "If the rule matches, each webhook is sent once, to the real receiver."],
];

function ModeChoice({ isDry, onChange }) {
  return h(
    C.Box,
    { as: "fieldset", mt: 3 },
    h(C.Text, { as: "legend", fontSize: "xs", color: "fg.muted" }, "Mode"),
    MODES.map(([value, label, hint]) =>
      h(
        C.Flex,
        { as: "label", key: label, gap: 2, align: "baseline", fontSize: "sm" },
        h("input", { type: "radio", name: "mode", checked: isDry === value, onChange: () => onChange(value) }),
        h("span", null, label, h(C.Text, { as: "span", display: "block", fontSize: "xs", color: "fg.muted" }, hint)),
      ),
    ),
  );
}

function Started({ run }) {
  return h(
    C.Text,
    { role: "status" },
    "Started. ",
    h(To, { to: runPath(run) }, "See the run"),
    " · ",
    h(To, { to: logPage(run) }, "See its entries"),
  );
}

// label: of the button; name: of the trigger; taskId: of its match task, empty if it is not known;
// sample: { repository, tag, digest }.
function TestTrigger({ label = "Test", dagId, taskId = "", name, may, sample, onStarted = () => undefined }) {
  const [tag, setTag] = useState("");
  const [text, setText] = useState("");
  const [isDry, setIsDry] = useState(true);
  const field = useRef(null);
  const action = useAction(async () => {
    const conf = { notification: withTag(text, tag), ...(isDry && { dry_run: true }) };
    const run = await ask(`api/v2/dags/${encodeURIComponent(dagId)}/dagRuns`, {
      method: "POST",
      body: { logical_date: null, conf },
    });
    onStarted();
    return { dag_id: dagId, run_id: run.dag_run_id };
  });
  const verdict = useVerdict(action.isOpen, dagId, taskId, sample.repository || "", tag);
  const open = () => {
    setTag(plain(sample.tag));
    setIsDry(true);
    // A character that is not seen stands in the field as JSON's escape of it.
    setText(plain(JSON.stringify(sampleOf(sample), null, 2)));
    action.open();
  };
  const form = h(
    C.Box,
    null,
    h(
      Field,
      { label: "Tag" },
      h(C.Input, {
        ref: field,
        size: "sm",
        value: tag,
        "aria-label": "Tag of the test",
        onChange: (event) => setTag(event.target.value),
      }),
    ),
    h(C.Text, { fontSize: "sm", mt: 1, minH: "20px", role: "status", overflowWrap: "anywhere" }, verdict),
    h(
      Fold,
      { title: "Notification (JSON)" },
      h(C.Textarea, {
        "aria-label": "Notification",
        fontFamily: "mono",
        fontSize: "xs",
        rows: 10,
        value: text,
        onChange: (event) => setText(event.target.value),
      }),
    ),
    h(ModeChoice, { isDry, onChange: setIsDry }),
  );
  return h(
    React.Fragment,
    null,
    h(ActionButton, { may, reason: "Your role may not start a run", onClick: open }, label),
    h(
      Ask,
      {
        open: action.isOpen,
        title: `Test trigger ${plain(name)}`,
        confirm: isDry ? "Start the dry run" : "Send",
        busy: action.busy,
        error: action.error,
        done: action.done,
        focus: field,
        onConfirm: () => action.run(),
        onClose: action.close,
      },
      action.done ? h(Started, { run: action.done }) : form,
    ),
  );
}
