# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import json
import subprocess
import sys

import pytest
from airflow.sdk import Asset
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_registry_triggers.assets.oci import repository_asset
from airflow_registry_triggers.registry.asset_uri import asset_uri
from airflow_registry_triggers.triggers.registry_push import RegistryPushTrigger

TAGS = st.lists(
    st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True), min_size=1, max_size=10, unique=True
)


@pytest.mark.parametrize(
    ("arguments", "uri", "name"),
    [
        ({"repository": "team/app"}, "oci://registry_default/team/app", "team/app @ registry_default"),
        ({"repository": "team/app", "registry_conn_id": "Prod_1"}, "oci://Prod_1/team/app", "team/app @ Prod_1"),
        ({"repository": "GHCR.io/team/app"}, "oci://ghcr.io/team/app", "ghcr.io/team/app @ registry_default"),
        ({"repository": "ghcr.io./team/app"}, "oci://ghcr.io/team/app", "ghcr.io/team/app @ registry_default"),
        ({"repository": "oci://ghcr.io/team/app"}, "oci://ghcr.io/team/app", "ghcr.io/team/app @ registry_default"),
        ({"repository": "localhost:5000/a"}, "oci://localhost:5000/a", "localhost:5000/a @ registry_default"),
        ({"repository": "team/app", "tags": ["b", "a"]}, "oci://registry_default/team/app?tags=a%2Cb",
         "team/app @ registry_default (tags: a, b)"),
        ({"repository": "team/app", "tag_regex": "v.*"}, "oci://registry_default/team/app?tag_regex=v.%2A",
         "team/app @ registry_default (tag_regex: v.*)"),
        ({"repository": "team/app", "tag_regex": "ü"}, "oci://registry_default/team/app?tag_regex=%C3%BC",
         "team/app @ registry_default (encoded tag_regex: %C3%BC)"),
        ({"repository": "team/app", "semver": ">=1.2 <2"}, "oci://registry_default/team/app?semver=%3E%3D1.2+%3C2",
         "team/app @ registry_default (semver: >=1.2 <2)"),
        ({"repository": "team/app", "tag_regex": "v(?P<version>.*)", "semver": "1.x", "exclude_regex": ".*-rc.*", "newest": "version"},
         "oci://registry_default/team/app?exclude_regex=.%2A-rc.%2A&newest=version&semver=1.x&tag_regex=v%28%3FP%3Cversion%3E.%2A%29",
         "team/app @ registry_default (semver: 1.x; newest: version; exclude_regex: .*-rc.*; tag_regex: v(?P<version>.*))"),
        ({"repository": "team/app", "exclude_regex": "a;tag_regex: b"},
         "oci://registry_default/team/app?exclude_regex=a%3Btag_regex%3A+b",
         "team/app @ registry_default (encoded exclude_regex: a%3Btag_regex%3A%20b)"),
    ],
)  # fmt: skip
def test_repository_asset_of_a_rule_has_a_readable_name_and_a_uri(arguments, uri, name):
    asset = repository_asset(**arguments)
    assert (asset.uri, asset.name, asset.watchers[0].name) == (uri, name, name)


def test_watcher_of_an_asset_keeps_its_state_under_the_assets_name():
    asset = repository_asset("team/app", tag_regex="v.*")
    assert asset.watchers[0].trigger._asset_name() == asset.name


@pytest.mark.parametrize(
    ("arguments", "setting"),
    [
        ({"repository": "team/app", "tag_regex": "v|" * 800}, "tag_regex"),
        ({"repository": "team/app", "tag_regex": "é" * 260}, "tag_regex"),
        ({"repository": "team/app", "registry_conn_id": "c" * 1500}, "registry_conn_id"),
        ({"repository": "team/app", "exclude_regex": "v|" * 800, "semver": "*"}, "exclude_regex"),
        ({"repository": "a" * 250, "tags": ["t" * 126 + f"{n:02}" for n in range(10)]}, "tags"),
    ],
)
def test_repository_asset_over_airflows_limit_raises_an_error_that_names_the_setting(arguments, setting):
    text = rf"^repository_asset: the URI has \d+ characters; at most 1500 are stored\. Shorten {setting}\.$"
    with pytest.raises(ValueError, match=text):
        repository_asset(**arguments)


def test_repository_asset_has_repository_and_connection_as_its_extra():
    asset = repository_asset("team/app", "registry_good")
    assert asset.extra == {"repository": "team/app", "connection": "registry_good"}
    assert asset.name == "team/app @ registry_good"


def test_repository_asset_declared_twice_has_identical_watchers():
    one = repository_asset("team/app", tags=["b", "a"])
    other = repository_asset("team/app", tags=("a", "b"))
    assert one.watchers[0].trigger.serialize() == other.watchers[0].trigger.serialize()
    assert (one.name, one.uri, one.group, one.extra) == (other.name, other.uri, other.group, other.extra)


def test_watcher_of_an_asset_serializes_to_json_without_secrets():
    path, arguments = repository_asset("team/app", "conn", tag_regex="v.*").watchers[0].trigger.serialize()
    assert path == "airflow_registry_triggers.triggers.registry_push.RegistryPushTrigger"
    assert json.loads(json.dumps(arguments)) == {
        "repository": "team/app",
        "registry_conn_id": "conn",
        "tags": None,
        "tag_regex": "v.*",
    }
    assert RegistryPushTrigger(**arguments).serialize() == (path, arguments)


def test_watchers_of_one_repository_share_a_stream():
    def key(*args, **kwargs):
        return repository_asset(*args, **kwargs).watchers[0].trigger.shared_stream_key()

    assert key("team/app") == key("team/app", tags=["a"]) == key("team/app", tag_regex="v.*")
    assert len({key("team/app"), key("team/other"), key("team/app", "other"), key("ghcr.io/team/app")}) == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"repository": "Team/App"}, "not a valid name"),
        ({"repository": "team/app:1"}, "contains a tag"),
        ({"repository": "user:planted@ghcr.io/team/app"}, "a digest or a login"),
        ({"repository": "{{ var.value.x }}"}, "not a valid name"),
        ({"repository": "team/app", "registry_conn_id": "a/b"}, "registry_conn_id"),
        ({"repository": "team/app", "tags": []}, "empty list"),
        ({"repository": "team/app", "tag_regex": "["}, "missing ]"),
        ({"repository": "team/app", "tags": ["a"], "tag_regex": "b"}, "cannot be combined"),
        ({"repository": "team/app", "tags": ["a"], "newest": "text"}, "newest cannot be combined with tags"),
        (
            {"repository": "team/app", "newest": "latest"},
            "newest='latest' is not one of version, number, text.",
        ),
        ({"repository": "team/app", "semver": "~>1"}, "'~>1' is not a comparison"),
        ({"repository": "team/app", "exclude_regex": ".*"}, "excludes every tag"),
    ],
)
def test_repository_asset_with_an_invalid_argument_raises(arguments, words):
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
def test_asset_with_an_oci_uri_is_normalized(given_uri, uri):
    assert Asset(name="n", uri=given_uri).uri == uri


@pytest.mark.parametrize("uri", ["oci://ghcr.io/Team", "oci://u@ghcr.io/a", "oci:///a"])
def test_asset_with_an_invalid_oci_uri_raises(uri):
    with pytest.raises(ValueError):
        Asset(name="n", uri=uri)


CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "tag_regex": st.sampled_from(["a", "a; newest: text", "a; semver: 1", "ü"]),
        "semver": st.sampled_from(["1", "1 || 2"]),
        "exclude_regex": st.sampled_from(["b", "b; tag_regex: a", "b; newest: text", "é"]),
        "newest": st.sampled_from(["version", "text"]),
    },
)


@given(CONDITIONS, CONDITIONS)
def test_assets_with_different_uris_have_different_names(one, other):
    assets = repository_asset("team/app", **one), repository_asset("team/app", **other)
    assert (assets[0].uri == assets[1].uri) == (assets[0].name == assets[1].name) == (one == other)
    assert assets[0].watchers[0].trigger._asset_name() == assets[0].name


# Taken before `semver`, `exclude_regex` and `newest` existed. Another form would recreate every watcher.
SERIALIZED = [
    ({}, '{"repository": "team/app", "registry_conn_id": "c", "tags": null, "tag_regex": null}'),
    ({"tags": ["b", "a"]}, '{"repository": "team/app", "registry_conn_id": "c", "tags": ["a", "b"], "tag_regex": null}'),
    ({"tag_regex": "v.*"}, '{"repository": "team/app", "registry_conn_id": "c", "tags": null, "tag_regex": "v.*"}'),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "serialized"), SERIALIZED)
def test_watcher_of_a_rule_without_new_conditions_serializes_as_before(rule, serialized):
    trigger = repository_asset("team/app", "c", **rule).watchers[0].trigger
    assert json.dumps(trigger.serialize()[1]) == serialized


def test_watcher_of_a_rule_with_new_conditions_serializes_those_that_are_set():
    trigger = repository_asset("team/app", "c", semver="1.x", newest="version").watchers[0].trigger
    path, arguments = trigger.serialize()
    assert arguments == {
        "repository": "team/app",
        "registry_conn_id": "c",
        "tags": None,
        "tag_regex": None,
        "semver": "1.x",
        "newest": "version",
    }
    assert RegistryPushTrigger(**arguments).serialize() == (path, arguments)


@settings(max_examples=50)
@given(TAGS)
def test_asset_with_a_rule_in_its_uri_keeps_it(tags):
    asset = repository_asset("team/app", tags=tags)
    assert Asset(name="n", uri=asset.uri).uri == asset.uri


REPOSITORIES = st.sampled_from(
    [
        "team/app",
        "GHCR.io/team/app",
        "localhost:5000/a",
        "nginx",
        "a/b/c",
        "[::1]:5000/a",
        "mirror:443/team/app",
    ]
)
CONN_IDS = st.from_regex(r"[A-Za-z0-9_.-]{1,20}", fullmatch=True)


@settings(max_examples=300)
@given(REPOSITORIES, CONN_IDS, st.none() | st.text(min_size=1, max_size=20))
def test_asset_has_the_uri_that_airflow_would_give_it(repository, conn_id, tag_regex):
    try:
        asset = repository_asset(repository, conn_id, tag_regex=tag_regex)
    except ValueError:
        return
    created = Asset(name=asset.name, uri=asset_uri(repository, conn_id, tag_regex=tag_regex))
    assert asset.uri == created.uri == Asset(name="n", uri=asset.uri).uri


DAG_FILE = """
import sys
from airflow_registry_triggers import repository_asset
repository_asset("team/app")
print("boto3" in sys.modules)
"""


def test_asset_loads_no_handlers_of_other_providers():
    done = subprocess.run([sys.executable, "-c", DAG_FILE], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "False"
