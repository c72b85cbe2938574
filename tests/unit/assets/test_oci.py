# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import json

import pytest
from airflow.sdk import Asset
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_registry_triggers.assets.oci import convert_asset_to_openlineage, create_asset, repository_asset
from airflow_registry_triggers.triggers.registry_push import RegistryPushTrigger

TAGS = st.lists(
    st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True), min_size=1, max_size=10, unique=True
)


@pytest.mark.parametrize(
    ("arguments", "uri"),
    [
        ({"repository": "team/app"}, "oci://registry_default/team/app"),
        ({"repository": "team/app", "registry_conn_id": "Prod_1"}, "oci://Prod_1/team/app"),
        ({"repository": "GHCR.io/team/app"}, "oci://ghcr.io/team/app"),
        ({"repository": "oci://ghcr.io/team/app"}, "oci://ghcr.io/team/app"),
        ({"repository": "localhost:5000/a"}, "oci://localhost:5000/a"),
        ({"repository": "team/app", "tags": ["b", "a"]}, "oci://registry_default/team/app?tags=a%2Cb"),
        ({"repository": "team/app", "tag_regex": "v.*"}, "oci://registry_default/team/app?tag_regex=v.%2A"),
    ],
)
def test_the_uri_of_a_repository(arguments, uri):
    asset = repository_asset(**arguments)
    assert (asset.uri, asset.name) == (uri, uri)


def test_two_declarations_have_the_identical_watcher():
    one = repository_asset("team/app", tags=["b", "a"])
    other = repository_asset("team/app", tags=("a", "b"))
    assert one.watchers[0].trigger.serialize() == other.watchers[0].trigger.serialize()
    assert (one.name, one.uri, one.group, one.extra) == (other.name, other.uri, other.group, other.extra)


def test_the_watchers_arguments_are_json_and_hold_no_secret():
    path, arguments = repository_asset("team/app", "conn", tag_regex="v.*").watchers[0].trigger.serialize()
    assert path == "airflow_registry_triggers.triggers.registry_push.RegistryPushTrigger"
    assert json.loads(json.dumps(arguments)) == {
        "repository": "team/app",
        "registry_conn_id": "conn",
        "tags": None,
        "tag_regex": "v.*",
    }
    assert RegistryPushTrigger(**arguments).serialize() == (path, arguments)


def test_all_rules_of_a_repository_share_a_stream_and_no_other_does():
    def key(*args, **kwargs):
        return repository_asset(*args, **kwargs).watchers[0].trigger.shared_stream_key()

    assert key("team/app") == key("team/app", tags=["a"]) == key("team/app", tag_regex="v.*")
    assert len({key("team/app"), key("team/other"), key("team/app", "other"), key("ghcr.io/team/app")}) == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"repository": "Team/App"}, "no repository name"),
        ({"repository": "team/app:1"}, "leave the tag out"),
        ({"repository": "user:planted@ghcr.io/team/app"}, "credentials"),
        ({"repository": "{{ var.value.x }}"}, "no repository name"),
        ({"repository": "team/app", "registry_conn_id": "a/b"}, "registry_conn_id"),
        ({"repository": "team/app", "tags": []}, "empty list"),
        ({"repository": "team/app", "tag_regex": "["}, "missing ]"),
        ({"repository": "team/app", "tags": ["a"], "tag_regex": "b"}, "not both"),
    ],
)
def test_what_cannot_be_watched_says_why(arguments, words):
    with pytest.raises(ValueError) as error:
        repository_asset(**arguments)
    assert words in str(error.value)
    assert "planted" not in str(error.value)


@pytest.mark.parametrize(
    ("given_uri", "uri"),
    [
        ("OCI://ghcr.io/team/app/", "oci://ghcr.io/team/app"),
        ("oci://GHCR.io/team/app", "oci://ghcr.io/team/app"),
        ("oci://My_Conn/team/app#x", "oci://My_Conn/team/app"),
    ],
)
def test_airflow_normalizes_the_scheme_with_our_handler(given_uri, uri):
    assert Asset(name="n", uri=given_uri).uri == uri


@pytest.mark.parametrize("uri", ["oci://ghcr.io/Team", "oci://u@ghcr.io/a", "oci:///a"])
def test_airflow_refuses_what_is_no_repository(uri):
    with pytest.raises(ValueError):
        Asset(name="n", uri=uri)


@settings(max_examples=50)
@given(TAGS)
def test_a_rule_in_the_uri_survives_airflows_normalization(tags):
    asset = repository_asset("team/app", tags=tags)
    assert Asset(name="n", uri=asset.uri).uri == asset.uri == asset.name


def test_the_factory_gives_the_same_asset():
    assert create_asset(repository="team/app", tags=["a"]) == repository_asset("team/app", tags=["a"])


def test_openlineage_has_the_registry_as_namespace():
    dataset = convert_asset_to_openlineage(repository_asset("ghcr.io/team/app", tags=["a"]), None)
    assert (dataset.namespace, dataset.name) == ("oci://ghcr.io", "team/app")
