// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// Dialogs: a question with one action, whose error stays in the dialog.

// focus: ref of the element that takes the focus; default the button "Cancel".
function Ask({ open, title, children, confirm, busy, error, onConfirm, onClose, done, focus }) {
  const cancel = useRef(null);
  return h(
    C.Dialog.Root,
    {
      open,
      role: "alertdialog",
      size: "md",
      placement: "center",
      initialFocusEl: () => (focus && focus.current) || cancel.current,
      onOpenChange: (event) => event.open || onClose(),
    },
    h(
      C.Portal,
      null,
      h(C.Dialog.Backdrop),
      h(
        C.Dialog.Positioner,
        { px: 3 },
        h(
          C.Dialog.Content,
          null,
          h(C.Dialog.Header, null, h(C.Dialog.Title, null, title)),
          h(
            C.Dialog.Body,
            null,
            children,
            error &&
              h(C.Box, { mt: 3 }, h(Message, { palette: "red", role: "alert", title: "It did not work" }, error)),
          ),
          h(
            C.Dialog.Footer,
            null,
            h(C.Button, { ref: cancel, variant: "outline", onClick: onClose }, done ? "Close" : "Cancel"),
            !done && confirm && h(C.Button, { onClick: onConfirm, loading: busy, colorPalette: "brand" }, confirm),
          ),
        ),
      ),
    ),
  );
}

// State of a dialog whose action is async; the action returns null to close it, or a value to show (done).
function useAction(action) {
  const [state, setState] = useState({ open: false, busy: false, error: "", done: null });
  const open = () => setState({ open: true, busy: false, error: "", done: null });
  const close = () => setState((old) => ({ ...old, open: false }));
  const run = async (...values) => {
    setState((old) => ({ ...old, busy: true, error: "" }));
    try {
      const done = await action(...values);
      setState((old) => ({ ...old, busy: false, done, open: done !== null }));
    } catch (error) {
      setState((old) => ({ ...old, busy: false, error: error.message }));
    }
  };
  return { ...state, open, isOpen: state.open, close, run };
}

// The button that opens a dialog; reason explains why a role may not use it.
function ActionButton({ may, reason, onClick, children }) {
  return h(
    C.Button,
    { size: "sm", variant: "outline", disabled: !may, title: may ? undefined : reason, onClick },
    children,
  );
}
