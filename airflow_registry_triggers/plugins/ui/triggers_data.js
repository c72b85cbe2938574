// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// The rows of the view "Triggers" and its filters, which are in the address.

const TRIGGER_FILTERS = ["state", "dag_id", "repository"];
const PROBLEMS = "problems";

function useTriggerFilters() {
  const [address, setAddress] = Router.useSearchParams();
  const filters = Object.fromEntries(TRIGGER_FILTERS.map((name) => [name, address.get(name) || ""]));
  const change = useChange(setAddress);
  const set = (values) => change({ ...values, cursor: "" }, { replace: true });
  return { filters, set, cursor: address.get("cursor") || "", go: (cursor) => change({ cursor }) };
}

function triggersPath(filters, cursor) {
  const query = new URLSearchParams({ limit: "50" });
  for (const name of TRIGGER_FILTERS) {
    if (name === "state" && filters.state === PROBLEMS) query.set("problems", "true");
    else if (filters[name]) query.set(name, filters[name]);
  }
  if (cursor) query.set("cursor", cursor);
  return `registry-triggers/triggers?${query}`;
}

const rowKey = (row) => JSON.stringify([row.dag_id, row.task_id]);

const isOfProblem = (state) => ["broken", "not_watched", "registry_error", "storm", "delivery"].includes(state);

const problemsIn = (counts) =>
  Object.entries(counts).reduce((sum, [state, number]) => sum + (isOfProblem(state) ? number : 0), 0);
