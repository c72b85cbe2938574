# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""No automatic collections while an SDK is imported, and the earlier setting afterwards."""

from __future__ import annotations

import gc

import pytest

from airflow_registry_triggers.hooks.clouds.quiet_gc import QuietGc


@pytest.fixture(autouse=True)
def automatic():
    gc.enable()
    yield
    gc.unfreeze()
    gc.enable()


def test_quiet_gc_until_its_end_switches_collections_off():
    quiet = QuietGc()
    assert not gc.isenabled()
    quiet.end()
    assert gc.isenabled()


def test_quiet_gc_of_two_imports_ends_with_the_last():
    first, second = QuietGc(), QuietGc()
    first.end()
    assert not gc.isenabled()
    first.end()
    assert not gc.isenabled(), "an end counts once"
    second.end()
    assert gc.isenabled()


def test_quiet_gc_of_a_process_without_collections_leaves_them_off():
    gc.disable()
    QuietGc().end()
    assert not gc.isenabled()


def test_quiet_gc_at_its_end_exempts_the_objects_that_exist():
    before = gc.get_freeze_count()
    QuietGc().end()
    assert gc.get_freeze_count() > before
