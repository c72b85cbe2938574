// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// The views of the page, which other files add, and the places of a tab that they may fill.

const VIEWS = []; // { label, path, View }: path is that of Airflow's router; View gets the host's props

// Components with the prop dagId; a file replaces null by its own.
const SLOTS = {
  tabTop: null, // above the list in the tab of a Dag
  empty: null, // in the tab of a Dag without any entry, in place of the list
};

// Airflow's host shows the component of the first load as a lazy one and replaces it, with everything in it, when
// the address changes for the first time. Change it at once, before a user has typed anything.
const host = { isSettled: false };

// Returns false until the component is the lasting one.
function useSettledHost() {
  const [, setAddress] = Router.useSearchParams();
  const isSettled = host.isSettled;
  useEffect(() => {
    if (host.isSettled) return;
    host.isSettled = true;
    setAddress((old) => new URLSearchParams(old), { replace: true });
  }, []);
  return isSettled;
}

function ViewSwitch({ current }) {
  if (VIEWS.length < 2) return null;
  return h(
    C.Flex,
    { as: "nav", "aria-label": "Views", gap: 2 },
    VIEWS.map(({ label, path }) =>
      h(
        C.Button,
        { key: path, size: "sm", variant: label === current ? "surface" : "ghost", asChild: true },
        h(Router.Link, { to: path, "aria-current": label === current ? "page" : undefined }, label),
      ),
    ),
  );
}

// The scrolling box around a view. On a page it has the title, the view switch, and note at the right; in a tab of
// a Dag (tabOf) only note and SLOTS.tabTop. box is the ref of useWidth.
function Frame({ box, label, note, tabOf, testId, children }) {
  const title = h(
    C.Flex,
    { align: "center", gap: 4, wrap: "wrap" },
    h(C.Heading, { as: "h1", size: "lg" }, "Registry Triggers"),
    h(ViewSwitch, { current: label }),
  );
  return h(
    C.Box,
    { ref: box, p: tabOf ? 2 : 4, height: "100%", overflowY: "auto", "data-testid": testId, tabIndex: -1 },
    tabOf && SLOTS.tabTop && h(SLOTS.tabTop, { dagId: tabOf }),
    h(
      C.Flex,
      { justify: tabOf ? "flex-end" : "space-between", align: "center", mb: tabOf ? 0 : 3, gap: 3, wrap: "wrap" },
      !tabOf && title,
      note,
    ),
    children,
  );
}
