// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// Small parts that the views are made of.

const oneLine = { overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap" };

// palette is one of Chakra's: green, blue, yellow, red, orange, purple, gray.
function Badge({ palette = "gray", children, ...rest }) {
  return h(C.Badge, { colorPalette: palette, variant: "surface", whiteSpace: "nowrap", ...rest }, children);
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

function Loading({ label }) {
  return h(
    C.Box,
    { role: "status", "aria-label": label },
    [1, 2, 3, 4].map((n) => h(C.Skeleton, { key: n, height: "36px", mb: 2 })),
  );
}

function To({ to, href, children, ...rest }) {
  const style = { color: "fg.info", textDecoration: "underline", overflowWrap: "anywhere", ...rest };
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

// A part that opens on click; open says whether it is open at first.
function Fold({ title, open = false, children }) {
  const [isOpen, setIsOpen] = useState(open);
  return h(
    C.Box,
    { mt: 1 },
    h(
      C.Button,
      { size: "xs", variant: "ghost", px: 1, "aria-expanded": isOpen, onClick: () => setIsOpen((old) => !old) },
      h(Chevron, { isOpen }),
      title,
    ),
    isOpen && children,
  );
}

function Chevron({ isOpen }) {
  return h(
    "svg",
    {
      viewBox: "0 0 16 16",
      width: 12,
      height: 12,
      "aria-hidden": true,
      style: { transform: isOpen ? "rotate(90deg)" : undefined, flexShrink: 0 },
    },
    h("path", { d: "M5 2l6 6-6 6", fill: "none", stroke: "currentColor", strokeWidth: 2 }),
  );
}

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without TLS a browser has no clipboard for scripts.
    const field = Object.assign(document.createElement("textarea"), { value: text });
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
}

// what: "Copy the webhook-id"; children: the short text of the button.
function CopyButton({ text, what, children = "Copy" }) {
  const [isCopied, setIsCopied] = useState(false);
  useEffect(() => {
    if (!isCopied) return undefined;
    const timer = setTimeout(() => setIsCopied(false), 2000);
    return () => clearTimeout(timer);
  }, [isCopied]);
  const onClick = async () => {
    await copyText(text);
    setIsCopied(true);
  };
  return h(
    C.Button,
    { size: "2xs", variant: "outline", ml: 2, "aria-label": isCopied ? "Copied" : what, title: what, onClick },
    isCopied ? "Copied" : children,
  );
}

// The width of a box in pixels: in a tab it may be narrow on a wide screen.
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
