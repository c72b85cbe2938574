# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import json

import pytest
from airflow.sdk import Connection

from airflow_registry_triggers.hooks import registry, webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def conn(conn_type="oci_registry", extra=None, **values):
    return Connection(conn_id="c", conn_type=conn_type, extra=json.dumps(extra or {}), **values)


@pytest.mark.parametrize(
    ("connection", "repository", "base_url", "name"),
    [
        (conn(host="registry.example.com"), "team/app", "https://registry.example.com", "team/app"),
        (conn(host="registry.example.com", port=5000), "team/app", "https://registry.example.com:5000", "team/app"),
        (conn(host="r.example", extra={"scheme": "http"}), "a/b", "http://r.example", "a/b"),
        (conn(host="http://r.example:5000"), "a/b", "http://r.example:5000", "a/b"),
        (conn(host="r.example/prefix/"), "a/b", "https://r.example/prefix", "a/b"),
        (conn(host="r.example/v2/"), "a/b", "https://r.example", "a/b"),
        (conn(host="::1", port=5000, extra={"scheme": "http"}), "a/b", "http://[::1]:5000", "a/b"),
        (conn(), "ghcr.io/team/app", "https://ghcr.io", "team/app"),
        (conn(host="ghcr.io"), "oci://ghcr.io/team/app", "https://ghcr.io", "team/app"),
        (conn("docker", host="https://index.docker.io/v1/"), "library/nginx", "https://registry-1.docker.io", "library/nginx"),
        (conn("docker"), "docker.io/nginx", "https://registry-1.docker.io", "library/nginx"),
        (conn("http", host="r.example"), "a/b", "http://r.example", "a/b"),
        (conn("http", host="r.example", schema="https"), "a/b", "https://r.example", "a/b"),
    ],
)  # fmt: skip
def test_where_a_connection_and_a_repository_lead(connection, repository, base_url, name):
    target = registry.target_of(connection, repository)
    assert (target.base_url, target.repository) == (base_url, name)


@pytest.mark.parametrize(
    ("connection", "repository", "words"),
    [
        (conn(), "team/app", "has no host"),
        (conn(host="registry.example.com", password="pw"), "ghcr.io/team/app", "is for registry.example.com"),
        (conn(host="u:pw@h"), "team/app", "host must be"),
        (conn(host="h?x=1"), "team/app", "host must be"),
        (conn(host="ftp://h"), "team/app", "must be https or http"),
        (
            conn(host="h", extra={"poll_interval": 0}),
            "team/app",
            "poll_interval=0 must be a number, at least 1",
        ),
        (conn(host="h", extra={"poll_interval": "soon"}), "team/app", "poll_interval"),
        (conn(host="h", extra={"poll_interval": "nan"}), "team/app", "poll_interval"),
        (conn(host="h", extra={"updates": "maybe"}), "team/app", "true or false"),
        (conn(host="h", extra={"first_run": "storm"}), "team/app", "baseline or notify"),
        (conn(host="h", extra={"ca_file": 1}), "team/app", "ca_file=1 must be text"),
        (conn(host="h"), "Team/App", "no repository name"),
    ],
)
def test_what_cannot_work_says_why_and_shows_no_password(connection, repository, words):
    with pytest.raises(ValueError) as error:
        registry.target_of(connection, repository)
    assert words in str(error.value)
    assert "pw" not in str(error.value)


def test_how_a_repository_is_watched_stands_on_the_connection():
    extra = {"poll_interval": "5", "first_run": "notify", "updates": "false", "referrers": True, "storm_limit": 9,
             "timezone": "Asia/Shanghai", "region": "cn-hangzhou", "repo_type": "PUBLIC", "max_in_flight": 3}  # fmt: skip
    target = registry.target_of(conn(host="h", extra=extra), "a/b")
    settings = target.settings
    assert (settings.poll_interval, settings.first_run, settings.updates) == (5.0, "notify", False)
    assert (settings.referrers, settings.storm_limit, settings.timezone) == (True, 9, "Asia/Shanghai")
    assert settings.facts == {"region": "cn-hangzhou", "repo_type": "PUBLIC"}
    assert target.max_in_flight == 3
    assert registry.target_of(conn(host="h"), "a/b").settings == registry.WatchSettings()


def test_a_target_shows_no_password():
    target = registry.target_of(conn(host="h", login="u", password="planted"), "a/b")
    assert "planted" not in repr(target)
    assert "planted" not in repr(target.client())


@pytest.mark.parametrize(
    ("connection", "url"),
    [
        (conn("webhook", host="h.example"), "https://h.example"),
        (conn("webhook", host="h.example", schema="http", port=8080, extra={"path": "/a?b=1"}), "http://h.example:8080/a?b=1"),
        (conn("webhook", host="https://h.example/a"), "https://h.example/a"),
        (conn("webhook"), ""),
        (conn("http", host="h.example"), "http://h.example"),
    ],
)  # fmt: skip
def test_the_url_of_a_webhook_connection(connection, url):
    assert webhook.target_of(connection).url == url


def test_what_a_webhook_connection_gives():
    extra = {"headers": '{"X-Team": "app"}', "secret_query": "?k=v", "previous_signing_secret": SECRET}
    target = webhook.target_of(conn("webhook", password=SECRET, extra=extra))
    assert target.headers == {"X-Team": "app"}
    assert target.secret_query == "k=v"
    assert target.signing_secrets == (SECRET, SECRET)
    assert SECRET not in repr(target)


def test_an_http_connection_is_read_as_its_provider_reads_it():
    target = webhook.target_of(
        conn("http", host="h", login="u", password="p", extra={"X-A": "1", "verify": False, "timeout": 3})
    )
    assert target.headers == {"X-A": "1", "Authorization": "Basic dTpw"}
    assert target.signing_secrets == ()


@pytest.mark.parametrize(
    ("connection", "words"),
    [
        (conn("webhook", password="planted-secret"), "whsec_"),
        (conn("webhook", extra={"headers": "planted-secret"}), "JSON object"),
        (conn("webhook", extra={"headers": {"a": 1}}), "JSON object"),
        (conn("webhook", extra={"headers": {"Host": "planted-secret"}}), "ost"),
        (conn("webhook", extra={"previous_signing_secret": SECRET}), "needs a current one"),
    ],
)
def test_a_webhook_connection_that_cannot_work(connection, words):
    with pytest.raises(ValueError) as error:
        webhook.target_of(connection)
    assert words in str(error.value)
    assert "planted" not in str(error.value)


@pytest.mark.parametrize(
    ("of_connection", "of_task", "expected"),
    [
        ("", "https://h/a", "https://h/a"),
        ("https://h/a", None, "https://h/a"),
        ("https://h/a", "https://h:443/b", "https://h:443/b"),
        ("https://h/a", "https://other/b", None),
        ("https://h/a", "http://h/b", None),
        ("", None, None),
    ],
)
def test_the_secrets_of_one_receiver_are_not_for_another(of_connection, of_task, expected):
    target = webhook.WebhookTarget(url=of_connection)
    if expected is None:
        with pytest.raises(ValueError):
            target.url_for(of_task)
    else:
        assert target.url_for(of_task) == expected
