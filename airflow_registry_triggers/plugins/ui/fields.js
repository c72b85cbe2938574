// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// Fields of a form of filters.

function Field({ label, children }) {
  return h(
    C.Box,
    { as: "label", minW: 0 },
    h(C.Text, { as: "span", display: "block", fontSize: "xs", color: "fg.muted", mb: 1 }, label),
    children,
  );
}

const optionOf = ([value, text]) => h("option", { key: value, value }, text);

// options: [value, text], or a group [label, options]; unknown: the text of a value that is not among them.
function Choice({ label, value, options, unknown, onChange }) {
  const all = options.flatMap(([option, text]) => (Array.isArray(text) ? text : [[option, text]]));
  const known = all.some(([option]) => option === value);
  const shown = known ? options : [...options, [value, unknown || plain(value)]];
  return h(
    Field,
    { label },
    h(
      C.NativeSelect.Root,
      { size: "sm" },
      h(
        C.NativeSelect.Field,
        { value, onChange: (event) => onChange(event.target.value), "aria-label": label },
        shown.map(([option, text]) =>
          Array.isArray(text)
            ? h("optgroup", { key: option, label: option }, text.map(optionOf))
            : optionOf([option, text]),
        ),
      ),
      h(C.NativeSelect.Indicator),
    ),
  );
}

// Asked for when typing pauses, and at once on Enter.
function Search({ label, value, onChange, hint }) {
  const [draft, setDraft] = useState(value);
  const latest = useRef(onChange);
  latest.current = onChange;
  // A value that this field has sent itself must not replace the keys that were pressed since then.
  const sent = useRef(value);
  const send = (text) => {
    sent.current = text;
    latest.current(text);
  };
  useEffect(() => {
    if (value !== sent.current) setDraft(value);
    sent.current = value;
  }, [value]);
  useEffect(() => {
    if (draft === value) return undefined;
    const timer = setTimeout(() => send(draft), 400);
    return () => clearTimeout(timer);
  }, [draft, value]);
  return h(
    Field,
    { label },
    h(C.Input, {
      size: "sm",
      value: draft,
      placeholder: hint,
      "aria-label": label,
      maxLength: 200,
      onChange: (event) => setDraft(event.target.value),
      onKeyDown: (event) => event.key === "Enter" && send(draft),
    }),
  );
}

function Moment({ label, value, onChange }) {
  return h(
    Field,
    { label },
    h(C.Input, {
      size: "sm",
      type: "datetime-local",
      "aria-label": label,
      value: toField(value),
      onChange: (event) => onChange(event.target.value && fromField(event.target.value)),
    }),
  );
}

// Sets the parameters of the address that have a value, and removes the others.
function useChange(setAddress) {
  return useCallback(
    (values, options) =>
      setAddress((old) => {
        const next = new URLSearchParams(old);
        for (const [name, value] of Object.entries(values)) {
          if (value) next.set(name, value);
          else next.delete(name);
        }
        return next;
      }, options),
    [setAddress],
  );
}
