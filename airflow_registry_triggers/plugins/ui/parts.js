// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// Small parts that the others are made of.

const RESULTS = {
  delivered: ["Delivered", "green"],
  triggered: ["Triggered", "blue"],
  retrying: ["Retrying", "yellow"],
  failed: ["Failed", "red"],
  blocked: ["Blocked", "orange"],
  untriggered: ["Untriggered", "gray"],
  duplicate: ["Duplicate", "purple"],
};

function Result({ entry }) {
  const [label, palette] = RESULTS[entry.result] || [plain(entry.result), "gray"];
  const code = plain(entry.status_code);
  const text = code === entry.result ? label : `${label} · ${code}`;
  return h(
    C.Badge,
    { colorPalette: palette, variant: "surface", "data-result": entry.result, whiteSpace: "nowrap" },
    text,
  );
}

function Message({ palette = "gray", title, children, action, role = "status" }) {
  return h(
    C.Box,
    {
      role,
      borderWidth: "1px",
      borderRadius: "md",
      borderColor: "border",
      colorPalette: palette,
      bg: palette === "gray" ? "bg.subtle" : "colorPalette.subtle",
      p: 4,
    },
    h(C.Text, { fontWeight: "semibold", color: palette === "gray" ? "fg" : "colorPalette.fg" }, title),
    children &&
      h(
        C.Text,
        { color: palette === "gray" ? "fg.muted" : "colorPalette.fg", mt: 1, overflowWrap: "anywhere" },
        children,
      ),
    action && h(C.Box, { mt: 3 }, action),
  );
}

function To({ to, href, children }) {
  const style = { color: "fg.info", textDecoration: "underline", overflowWrap: "anywhere" };
  return href
    ? h(C.Link, { ...style, href, target: "_blank", rel: "noopener noreferrer" }, children)
    : h(C.Link, { ...style, asChild: true }, h(Router.Link, { to }, children));
}

function Facts({ facts }) {
  return h(
    C.Box,
    {
      as: "dl",
      display: "grid",
      gridTemplateColumns: "minmax(80px, max-content) minmax(0, 1fr)",
      columnGap: 4,
      rowGap: 1,
      fontSize: "sm",
    },
    facts
      .filter(([, value]) => value !== "" && value !== null && value !== undefined)
      .map(([name, value]) =>
        h(
          React.Fragment,
          { key: name },
          h(C.Box, { as: "dt", color: "fg.muted" }, name),
          h(C.Box, { as: "dd", overflowWrap: "anywhere" }, typeof value === "string" ? plain(value) : value),
        ),
      ),
  );
}

function Raw({ label, children }) {
  return h(
    C.Box,
    {
      as: "pre",
      role: "region",
      tabIndex: 0,
      "aria-label": label,
      dir: "ltr",
      fontSize: "xs",
      fontFamily: "mono",
      bg: "bg",
      color: "fg",
      borderWidth: "1px",
      borderColor: "border",
      borderRadius: "md",
      p: 2,
      mt: 1,
      maxH: "260px",
      overflow: "auto",
      whiteSpace: "pre-wrap",
      overflowWrap: "anywhere",
      style: { unicodeBidi: "isolate" },
    },
    children,
  );
}

function useWidth() {
  const box = useRef(null);
  const [width, setWidth] = useState(1200);
  React.useLayoutEffect(() => {
    const measure = () => box.current && setWidth(box.current.clientWidth);
    const observer = new ResizeObserver(measure);
    observer.observe(box.current);
    measure();
    return () => observer.disconnect();
  }, []);
  return [box, width];
}
