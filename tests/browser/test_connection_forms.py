# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The forms of both Connection types in Airflow's own UI, in a real Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from airflow.sdk import Connection
from playwright.sync_api import expect

from airflow_registry_triggers.hooks.registry_target import target_of
from airflow_registry_triggers.hooks.watch_settings import WatchSettings
from tests.browser.looks import LOOKS, picture_of, violations
from tests.harness.airflow_home import AirflowHome
from tests.harness.airflow_process import Airflow
from tests.harness.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator

    from tests.browser.conftest import Browser, Tab

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

FORM = "[role=dialog]"
REGISTRY = "Container Registry (OCI)"
WEBHOOK = "Webhook"
STANDARD_FIELDS = {
    REGISTRY: {
        "Description": "",
        "Host": "registry.example.com or http://localhost:5000",
        "Login": "leave empty if anonymous",
        "Password or token": "",
        "Port": "443, or 80 for http",
    },
    WEBHOOK: {
        "Description": "",
        "Host": "https://hooks.example.com/path (a whole URL) or a host",
        "Signing secret (optional)": "whsec_...",
        "Port": "443, or 80 for http",
        "Schema": "https",
    },
}
"""Labels in their order, and placeholders. The order is Airflow's own."""

EXTRA_FIELDS = {
    REGISTRY: ["Scheme", "CA file", "Poll interval", "First run of a watcher", "What counts as a push", "Referrers"],
    WEBHOOK: ["Path", "Secret query", "Headers", "Previous signing secret", "CA file"],
}  # fmt: skip
"""The first labels in their order."""

LAST_FIELDS = {
    REGISTRY: [f"Notification: {fact}" for fact in ("region", "created", "repository type", "authentication type", "origin type")],
    WEBHOOK: ["CA file"],
}  # fmt: skip

# Airflow 3.3 builds the dialog and the form of every provider with these faults; no provider can change them.
AIRFLOWS_OWN = (
    'serious aria-dialog-name: <div data-scope="dialog" data-part="content"',
    'critical aria-valid-attr-value: <button data-scope="accordion" data-part="item-trigger"',
    # The label of a text field names an id that its input does not have.
    'critical label: <input id="element_',
    'serious label-title-only: <input id="element_',
)


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    with Airflow(AirflowHome(tmp_path_factory.mktemp("forms")), ["api-server"]) as running:
        yield running


def open_form(tab: Tab, kind: str) -> Locator:
    tab.open("/connections")
    tab.page.get_by_role("button", name="Add Connection").click()
    form = tab.page.get_by_role("dialog")
    form.get_by_role("combobox").first.click()
    tab.page.keyboard.type(kind)
    tab.page.get_by_role("option", name=kind, exact=True).click()
    expect(form.get_by_label("Host")).to_be_visible()
    tab.page.wait_for_timeout(500)  # the dialog fades in, and half of its contrast is none
    return form


def open_extra_fields(tab: Tab, form: Locator) -> None:
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    expect(form.get_by_label("Host")).to_be_hidden()
    tab.page.wait_for_timeout(500)  # the part unfolds, and half of its contrast is none


def labels_of(form: Locator) -> list[str]:
    """Return the labels below id and type of the Connection."""
    return [label.strip() for label in form.locator("label:visible").all_inner_texts()][2:]


def wait_for_labels(form: Locator, last: str) -> None:
    """Wait until the last label is shown: the fields need not appear at once."""
    wait_until(lambda: labels_of(form)[-1:] == [last], 60, f"the field {last}")


def faults(tab: Tab) -> list[str]:
    return [fault for fault in violations(tab, FORM) if not fault.startswith(AIRFLOWS_OWN)]


@pytest.mark.parametrize("kind", [REGISTRY, WEBHOOK])
def test_form_has_its_labels_placeholders_order_and_no_serious_violation(
    browser: Browser, airflow: Airflow, kind: str
) -> None:
    tab = browser.tab(airflow)
    form = open_form(tab, kind)
    wait_for_labels(form, list(STANDARD_FIELDS[kind])[-1])
    assert labels_of(form) == list(STANDARD_FIELDS[kind])
    for label, placeholder in STANDARD_FIELDS[kind].items():
        field = form.get_by_label(label, exact=True)
        assert (field.get_attribute("placeholder") or "") == placeholder
        assert field.input_value() == ""
    name = "connection-registry" if kind == REGISTRY else "connection-webhook"
    assert faults(tab) == []
    picture_of(form, name)
    open_extra_fields(tab, form)
    assert faults(tab) == []
    first, last = EXTRA_FIELDS[kind], LAST_FIELDS[kind]
    wait_for_labels(form, last[-1])
    labels = labels_of(form)
    assert (labels[: len(first)], labels[-len(last) :]) == (first, last)
    if kind == REGISTRY:
        picture_of(form, f"{name}-extra", above=form.locator("label", has_text="Cloud Connection"))
    assert tab.trouble == []


def test_registry_form_saved_with_a_host_only_has_the_default_of_every_setting(
    browser: Browser, airflow: Airflow
) -> None:
    tab = browser.tab(airflow)
    form = open_form(tab, REGISTRY)
    form.get_by_label("Connection ID").fill("from_the_form")
    form.get_by_label("Host").fill("http://localhost:5000")
    form.get_by_role("button", name="Save").click()
    expect(form).to_be_hidden()
    saved = airflow.rest.api("GET", "/connections/from_the_form")
    assert (saved["conn_type"], saved["host"]) == ("oci_registry", "http://localhost:5000")
    target = target_of(
        Connection(**{name: saved[name] for name in ("conn_type", "host", "extra")}, conn_id="c")
    )
    assert target.settings == WatchSettings()
    assert target.base_url == "http://localhost:5000"
    assert tab.trouble == []


@pytest.mark.parametrize("look", ["dark", "narrow"])
@pytest.mark.parametrize("kind", [REGISTRY, WEBHOOK])
def test_form_in_another_look_has_no_serious_accessibility_violation(
    browser: Browser, airflow: Airflow, kind: str, look: str
) -> None:
    tab = browser.tab(airflow, **LOOKS[look])
    form = open_form(tab, kind)
    assert faults(tab) == []
    open_extra_fields(tab, form)
    assert faults(tab) == []
    if look == "narrow":
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= 400
    assert tab.trouble == []
