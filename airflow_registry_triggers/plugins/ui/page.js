// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// The page and the tabs, under the names by which Airflow finds them.

function RegistryTriggers(props) {
  const isSettled = useSettledHost();
  const { pathname } = Router.useLocation();
  if (!isSettled) return h(C.Box, { p: 4 }, h(Loading, { label: "Loading the page" }));
  const { View } = VIEWS.find(({ path }) => pathname.endsWith(path)) || VIEWS[0];
  return h(props.dagId ? AccessLog : View, props);
}

globalThis["Registry Triggers"] = RegistryTriggers;
globalThis["Pushes"] = RegistryTriggers;
