// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// The question "Would it match?", and the test and dry run of a trigger.

function WouldMatch({ row }) {
  const [tag, setTag] = useState((row.last_push && row.last_push.tag) || "");
  const [repository, setRepository] = useState(row.repositories[0] || "");
  const [answer, setAnswer] = useState(null);
  const check = async (event) => {
    event.preventDefault();
    const query = new URLSearchParams({ dag_id: row.dag_id, task_id: row.task_id, tag, repository });
    try {
      setAnswer({ tag, ...(await ask(`registry-triggers/triggers/match?${query}`)) });
    } catch (error) {
      setAnswer({ tag, error: error.message });
    }
  };
  return h(
    C.Box,
    { as: "form", "aria-label": `Would a tag match ${plain(row.trigger_name)}?`, onSubmit: check, mb: 3 },
    h(C.Text, { fontWeight: "semibold", mb: 1 }, "Would it match?"),
    h(
      C.Flex,
      { gap: 2, align: "end", wrap: "wrap" },
      h(
        Field,
        { label: "Tag" },
        h(C.Input, {
          size: "sm",
          "aria-label": "Tag",
          value: tag,
          maxLength: 128,
          placeholder: "1.2.3",
          onChange: (event) => setTag(event.target.value),
        }),
      ),
      row.repositories.length > 1 &&
        h(Choice, {
          label: "Repository",
          value: repository,
          options: row.repositories.map((name) => [name, plain(name)]),
          onChange: setRepository,
        }),
      h(C.Button, { size: "sm", variant: "outline", type: "submit", disabled: !tag }, "Check"),
    ),
    h(C.Box, { role: "status", mt: 2, minH: 6 }, answer && h(MatchAnswer, { answer })),
  );
}

function MatchAnswer({ answer }) {
  if (answer.error) return h(C.Text, { fontSize: "sm", color: "fg.muted" }, plain(answer.error));
  return h(
    C.Flex,
    { gap: 2, align: "center", wrap: "wrap" },
    h(
      Badge,
      { palette: answer.triggered ? "green" : "gray", "data-triggered": String(answer.triggered) },
      answer.triggered ? "Matches" : "Does not match",
    ),
    h(C.Text, { fontSize: "sm", overflowWrap: "anywhere" }, plain(answer.reason)),
  );
}

// The last push, or the first repository of the trigger without the host of its registry.
function sampleOfTrigger(row) {
  if (row.last_push) return row.last_push;
  const [host, ...rest] = (row.repositories[0] || "").split("/");
  const isHost = rest.length > 0 && /[.:]|^localhost$/.test(host);
  return { repository: isHost ? rest.join("/") : row.repositories[0], tag: "", digest: "" };
}

function TriggerButtons({ row, onChange }) {
  const isMatch = !row.watchers.some((watcher) => watcher.sensor === row.task_id);
  return h(
    C.Flex,
    { gap: 2, mb: 3 },
    ["Dry run", "Test"].map((label) =>
      h(TestTrigger, {
        key: label,
        label,
        dagId: row.dag_id,
        taskId: isMatch ? row.task_id : "",
        name: row.trigger_name,
        may: row.may_test,
        sample: sampleOfTrigger(row),
        onStarted: onChange,
      }),
    ),
  );
}
