# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from airflow.sdk import Asset, AssetAlias
from airflow.sdk.execution_time.context import TriggeringAssetEventsAccessor

from airflow_registry_triggers.common.known_assets import known_asset, triggering_events

URI = "oci://ghcr.io/team/app?tag_regex=v.%2A"


def test_known_asset_equals_the_asset_that_airflow_creates():
    fields = {"group": "registry", "extra": {"repository": "ghcr.io/team/app"}}
    known, created = known_asset("name", URI, **fields), Asset(name="name", uri=URI, **fields)
    assert known == created
    assert hash(known) == hash(created)
    assert known_asset("name", "s3://bucket/key") == Asset(name="name", uri="s3://bucket/key")


def test_known_asset_with_a_name_that_airflow_prohibits_raises():
    with pytest.raises(ValueError, match="prohibited name"):
        known_asset("self", URI)


def event_of(name: str, uri: str, *aliases: str) -> SimpleNamespace:
    asset = SimpleNamespace(name=name, uri=uri)
    return SimpleNamespace(
        asset=asset,
        source_aliases=[SimpleNamespace(name=alias) for alias in aliases],
        extra={},
        timestamp=datetime.now(UTC),
    )


def test_triggering_events_are_those_of_airflows_mapping():
    events = [event_of("app", URI), event_of("bucket", "s3://b/k", "alias"), event_of("app", URI)]
    mapping = TriggeringAssetEventsAccessor.build(events)
    found = triggering_events({"triggering_asset_events": mapping})
    assert found == list(mapping.items())
    assert [asset for asset, _ in found] == [
        Asset(name="app", uri=URI), Asset(name="bucket", uri="s3://b/k"), AssetAlias("alias"),
    ]  # fmt: skip


def test_triggering_events_of_a_plain_mapping_are_its_items():
    mapping = {Asset(name="app", uri=URI): [1, 2]}
    assert triggering_events({"triggering_asset_events": mapping}) == list(mapping.items())
    assert triggering_events({}) == []


HANDLERS = """
import sys
from airflow.sdk import Asset
from airflow.sdk.execution_time.context import TriggeringAssetEventsAccessor
from tests.unit.common.test_known_assets import event_of
from airflow_registry_triggers.assets.oci import repository_asset
from airflow_registry_triggers.matching.asset_events import notifications_of_events
asset = repository_asset("team/app")
mapping = TriggeringAssetEventsAccessor.build([event_of(asset.name, asset.uri)])
notifications_of_events({"triggering_asset_events": mapping})
print("boto3" in sys.modules)
Asset(asset.uri)
print("boto3" in sys.modules)
"""


def test_task_that_reads_its_events_loads_no_other_providers_handlers():
    done = subprocess.run([sys.executable, "-c", HANDLERS], capture_output=True, text=True, check=True)
    # The second line shows that the Amazon provider is installed.
    assert done.stdout.split()[-2:] == ["False", "True"]
