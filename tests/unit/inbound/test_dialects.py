# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Each row of the table of dialects, with the recorded webhooks where there are any."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urlencode

import pytest

from airflow_registry_triggers.inbound.dialects import DIALECTS, NotUnderstood, PushEvent, read_push_events
from tests.unit.inbound.samples import EXPECTED, PAYLOADS, encode, parse_sample, read_sample

DIGEST = "sha256:" + "ab" * 32


def events(body: Any, **headers: str) -> list[PushEvent]:
    return read_push_events(encode(body), {name.replace("_", "-"): value for name, value in headers.items()})[
        1
    ]


def dialect(body: Any, **headers: str) -> str:
    return read_push_events(encode(body), {name.replace("_", "-"): value for name, value in headers.items()})[
        0
    ]


def problem(body: Any, **headers: str) -> str:
    with pytest.raises(NotUnderstood) as caught:
        events(body, **headers)
    return str(caught.value)


def change(value: Any, path: str, new: Any) -> Any:
    """Set, or with ``...`` remove, the value at a path; numbers are positions."""
    *parents, last = (int(part) if part.isdigit() else part for part in path.split("/"))
    holder = value
    for part in parents:
        holder = holder[part]
    if new is ...:
        del holder[last]
    else:
        holder[last] = new
    return value


def changed(name: str, path: str, new: Any) -> Any:
    return change(parse_sample(name), path, new)


# Samples


def test_expected_table_covers_every_sample_file() -> None:
    assert sorted(EXPECTED) == sorted(path.name for path in PAYLOADS.glob("*.json"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_read_push_events_of_sample_returns_expected_events(name: str) -> None:
    assert read_push_events(read_sample(name), {}) == EXPECTED[name]


def test_read_push_events_finds_pushes_in_21_of_23_samples() -> None:
    found = [name for name in EXPECTED if read_push_events(read_sample(name), {})[1]]
    assert (len(found), len(EXPECTED)) == (21, 23)


def test_dialects_are_the_sixteen_rows_in_order() -> None:
    assert [row.name for row in DIALECTS] == [
        "distribution",
        "harbor",
        "ecr",
        "alibaba_eventbridge",
        "google_pubsub",
        "google",
        "event_grid",
        "azure",
        "gitea",
        "github",
        "jfrog",
        "nexus",
        "quay",
        "dockerhub",
        "alibaba",
        "zot",
    ]


# Rows without a sample


GITEA = {
    "action": "created",
    "package": {"type": "container", "owner": {"login": "Team"}, "name": "App", "version": "v1"},
}
NEXUS = {
    "action": "UPDATED",
    "repositoryName": "docker-hosted",
    "component": {"format": "docker", "name": "team/app", "version": "1.0"},
}
ZOT = {"name": "team/app", "reference": "v1", "digest": DIGEST}
ZOT_HEADERS = {"ce_type": "zotregistry.image.updated", "ce_id": "e-1"}


@pytest.mark.parametrize("header", ["X_Gitea_Event", "x_forgejo_event"])
def test_gitea_package_returns_lower_cased_repository(header: str) -> None:
    assert events(GITEA, **{header: "package"}) == [PushEvent("", "team/app", "v1", None, "")]


def test_gitea_is_checked_before_github_whose_header_it_sends() -> None:
    headers = {"x_gitea_event": "package", "x_github_event": "package"}
    assert dialect(GITEA, **headers) == "gitea"


@pytest.mark.parametrize(
    ("path", "new"), [("action", "deleted"), ("package/type", "npm"), ("package/version", DIGEST)]
)
def test_gitea_other_event_returns_nothing(path: str, new: str) -> None:
    body = change({**GITEA, "package": dict(GITEA["package"])}, path, new)  # type: ignore[call-overload]
    assert events(body, x_gitea_event="package") == []


def test_nexus_component_has_the_repository_as_prefix() -> None:
    assert events(NEXUS) == [PushEvent("/docker-hosted", "team/app", "1.0", None, "")]
    assert dialect({"action": "CREATED"}, x_nexus_webhook_id="rm:repository:component") == "nexus"


@pytest.mark.parametrize(("action", "is_push"), [("CREATED", True), ("UPDATED", True), ("DELETED", False)])
def test_nexus_action_decides_on_a_push(action: str, is_push: bool) -> None:
    assert bool(events({**NEXUS, "action": action})) is is_push


def test_nexus_other_format_returns_nothing() -> None:
    assert events({**NEXUS, "component": {**NEXUS["component"], "format": "maven2"}}) == []  # type: ignore[dict-item]


def test_zot_image_returns_event_with_id_of_the_header() -> None:
    assert events(ZOT, **ZOT_HEADERS) == [PushEvent("", "team/app", "v1", DIGEST, "e-1")]


def test_zot_reference_that_is_a_digest_is_no_tag() -> None:
    assert events({**ZOT, "reference": DIGEST}, **ZOT_HEADERS) == []


def test_zot_other_type_returns_nothing() -> None:
    body, kind = {"name": "team/app"}, "zotregistry.repository.created"
    assert (dialect(body, ce_type=kind), events(body, ce_type=kind)) == ("zot", [])


def test_alibaba_eventbridge_push_joins_namespace_and_name() -> None:
    body = changed("alibaba_acr_eventbridge_build_completed.json", "type", "cr:Artifact:PushCompleted")
    assert events(body) == [PushEvent("", "scan/mix-vuls", "mix-vuls", None, body["id"])]


# Conditions of a push


@pytest.mark.parametrize(
    ("name", "path", "new"),
    [
        ("distribution.json", "events/0/action", "pull"),
        ("distribution.json", "events/0/action", "delete"),
        ("distribution.json", "events/0/action", "mount"),
        ("distribution.json", "events", []),
        ("harbor_default.json", "type", "DELETE_ARTIFACT"),
        ("harbor_default.json", "type", "PULL_ARTIFACT"),
        ("harbor_default.json", "event_data/resources", []),
        ("harbor_cloudevents.json", "type", "harbor.artifact.deleted"),
        ("ecr_eventbridge.json", "detail/action-type", "DELETE"),
        ("ecr_eventbridge.json", "detail/result", "FAILURE"),
        ("google_artifact_registry.json", "action", "DELETE"),
        ("azure_eventgrid_image_pushed.json", "0/data/action", "delete"),
        ("azure_eventgrid_image_pushed.json", "0/data/action", "chart_push"),
        ("azure_acr.json", "action", "delete"),
        ("github_package.json", "action", "deleted"),
        ("jfrog.json", "domain", "artifact"),
        ("jfrog.json", "event_type", "deleted"),
        ("quay.json", "updated_tags", ...),
        ("quay.json", "updated_tags", []),
    ],
)
def test_other_event_of_a_known_sender_returns_nothing(name: str, path: str, new: Any) -> None:
    body = changed(name, path, new)
    assert read_push_events(encode(body), {}) == (EXPECTED[name][0], [])


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("distribution.json", "events/0/target/tag"),
        ("ecr_eventbridge.json", "detail/image-tag"),
        ("google_artifact_registry.json", "tag"),
        ("azure_eventgrid_image_pushed.json", "0/data/target/tag"),
        ("azure_acr.json", "target/tag"),
        ("jfrog.json", "data/tag"),
        ("dockerhub.json", "push_data/tag"),
        ("alibaba_acr.json", "push_data/tag"),
    ],
)
@pytest.mark.parametrize("new", [..., "", "not a tag", "-x", 5, None, ["v1"]])
def test_untagged_push_is_dropped(name: str, path: str, new: Any) -> None:
    assert read_push_events(encode(changed(name, path, new)), {}) == (EXPECTED[name][0], [])


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("harbor_v1_pushImage.json", "event_data/resources/0/tag"),
        ("github_registry_package_legacy_tagged.json", "registry_package/package_version/version"),
    ],
)
@pytest.mark.parametrize("new", [..., "", "not a tag", 5, None])
def test_untagged_push_of_harbor_and_github_means_all_tags(name: str, path: str, new: Any) -> None:
    [event] = events(changed(name, path, new))
    assert event.tag is None
    assert event.repository == EXPECTED[name][1][0].repository


@pytest.mark.parametrize("digest", ["sha256:abc", "", 5, "md5:" + "a" * 32, DIGEST.upper()])
def test_incomplete_digest_counts_as_none(digest: Any) -> None:
    [event] = events(changed("distribution.json", "events/0/target/digest", digest))
    assert event.digest is None


def test_ping_of_azure_returns_nothing() -> None:
    assert read_push_events(encode({"id": "x", "action": "ping"}), {}) == ("azure", [])


def test_ping_of_github_returns_nothing() -> None:
    assert read_push_events(encode({"zen": "x", "hook_id": 1}), {"X-GitHub-Event": "ping"}) == ("github", [])


def test_deletion_of_a_tag_at_google_returns_nothing() -> None:
    body = {"action": "DELETE", "tag": "us-east1-docker.pkg.dev/p/r/app:1"}
    assert read_push_events(encode(body), {}) == ("google", [])


def test_own_events_of_event_grid_return_nothing() -> None:
    body = [{"eventType": "Microsoft.EventGrid.SubscriptionDeletedEvent", "data": {}}]
    assert read_push_events(encode(body), {}) == ("event_grid", [])


# Details of single senders


def test_event_grid_schema_with_event_type_is_read() -> None:
    [event] = parse_sample("azure_eventgrid_image_pushed.json")
    event["eventType"] = event.pop("type")
    assert events([event]) == EXPECTED["azure_eventgrid_image_pushed.json"][1]
    assert events(event) == EXPECTED["azure_eventgrid_image_pushed.json"][1]


def test_array_skips_a_malformed_item_if_another_is_readable() -> None:
    good = parse_sample("azure_eventgrid_image_pushed.json")
    assert len(events([5, {"unknown": 1}, [good], *good, *good])) == 2


def test_array_without_a_readable_item_raises() -> None:
    assert problem([5, {"unknown": 1}]) == "the body is not a JSON object"


def test_empty_array_returns_nothing() -> None:
    assert read_push_events(b"[]", {}) == ("event_grid", [])


@pytest.mark.parametrize(
    "broken", [5, None, [], {}, {"action": "push"}, {"action": "push", "target": {"repository": 5}}]
)
def test_distribution_envelope_never_raises(broken: Any) -> None:
    good = parse_sample("distribution.json")["events"][0]
    assert events({"events": [broken]}) == []
    assert len(events({"events": [broken, good, broken]})) == 1


def test_distribution_needs_a_list_of_events() -> None:
    assert "not a webhook of a known registry" in problem({"events": {}})


def test_harbor_reads_each_resource() -> None:
    body = parse_sample("harbor_v1_pushImage.json")
    first = body["event_data"]["resources"][0]
    body["event_data"]["resources"] = [first, 5, {**first, "tag": "other"}]
    assert [event.tag for event in events(body)] == ["1.2.3", "other"]


def test_harbor_without_a_readable_resource_raises() -> None:
    text = problem(changed("harbor_default.json", "event_data/resources", [5]))
    assert text == "harbor: the key event_data.resources[].digest is missing or is not text"


@pytest.mark.parametrize(
    ("region", "domain"), [("cn-north-1", "amazonaws.com.cn"), ("us-gov-west-1", "amazonaws.com")]
)
def test_ecr_host_has_the_domain_of_its_partition(region: str, domain: str) -> None:
    [event] = events(changed("ecr_eventbridge.json", "region", region))
    assert event.registry == f"123456789012.dkr.ecr.{region}.{domain}"


@pytest.mark.parametrize(
    ("path", "new"), [("account", "12"), ("account", 5), ("region", "evil.example/"), ("region", ...)]
)
def test_ecr_without_a_usable_host_has_no_registry(path: str, new: Any) -> None:
    [event] = events(changed("ecr_eventbridge.json", path, new))
    assert event.registry == ""


def test_google_complete_digest_is_read() -> None:
    body = changed("google_artifact_registry.json", "digest", f"us-east1-docker.pkg.dev/p/r/app@{DIGEST}")
    assert events(body)[0].digest == DIGEST


@pytest.mark.parametrize(
    "tag", ["us-east1-docker.pkg.dev", "x:1", "us-east1-docker.pkg.dev/p/app", "/", "a/:b"]
)
def test_google_tag_that_is_not_a_reference_is_dropped(tag: str) -> None:
    assert events(changed("google_artifact_registry.json", "tag", tag)) == []


@pytest.mark.parametrize("key", ["messageId", "message_id"])
def test_pubsub_event_has_the_id_of_the_message(key: str) -> None:
    body = changed("google_artifact_registry_pubsub_push_derived.json", f"message/{key}", "7")
    assert events(body)[0].event_id == "7"


@pytest.mark.parametrize("data", ["", "%%%", 5])
def test_pubsub_data_that_is_not_base64_raises(data: Any) -> None:
    text = problem({"message": {"data": data}})
    assert text.startswith("google_pubsub: the key message.data is missing or is not ")


@pytest.mark.parametrize("data", [b"{}", b"[1]", b"hello", b"\0", b'{"action": "INSERT"}'])
def test_pubsub_message_that_is_not_a_push_is_no_event(data: bytes) -> None:
    # Pub/Sub repeats a message that gets an error until its retention ends.
    assert events({"message": {"data": base64.b64encode(data).decode(), "messageId": "1"}}) == []


def test_github_container_with_a_tag_is_read() -> None:
    path = "registry_package/package_version/container_metadata/tag/name"
    [event] = events(changed("github_registry_package.json", path, "v2"))
    assert (event.repository, event.tag) == ("codertocat/hello-world", "v2")


@pytest.mark.parametrize("action", ["published", "updated"])
def test_github_both_actions_are_pushes(action: str) -> None:
    assert events(changed("github_package.json", "action", action))


@pytest.mark.parametrize(
    ("url", "repository"),
    [
        ("ghcr.io/Team/App:v1", "team/app"),
        ("https://ghcr.io/Team/App:v1", "team/app"),
        ("ghcr.io/team/nested/app", "team/nested/app"),
        (f"ghcr.io/team/app@{DIGEST}", "team/app"),
        ("", "codertocat/hello-world-npm"),
        (None, "codertocat/hello-world-npm"),
        ("nonsense", "codertocat/hello-world-npm"),
    ],
)
def test_github_repository_is_the_path_of_the_url_or_owner_and_name(url: Any, repository: str) -> None:
    [event] = events(changed("github_package.json", "package/package_version/package_url", url))
    assert event.repository == repository


@pytest.mark.parametrize(
    ("package_type", "registry_type", "is_container"),
    [
        ("CONTAINER", "", True),
        ("docker", "", True),
        ("npm", "Container", True),
        ("npm", "npm", False),
        (5, None, False),
    ],
)
def test_github_old_form_is_a_container_by_its_types(
    package_type: Any, registry_type: Any, is_container: bool
) -> None:
    body = parse_sample("github_registry_package_legacy_tagged.json")
    change(body, "registry_package/package_type", package_type)
    change(body, "registry_package/registry/type", registry_type)
    assert bool(events(body)) is is_container


def test_github_container_metadata_makes_a_container_of_any_type() -> None:
    body = changed("github_package.json", "package/package_type", "npm")
    assert events(change(body, "package/registry/type", "npm"))


def test_jfrog_checksum_is_not_taken_for_a_digest() -> None:
    body = changed("jfrog.json", "data/sha256", DIGEST)
    assert events(body)[0].digest is None


@pytest.mark.parametrize(
    ("origin", "key", "registry"),
    [
        ("https://example.jfrog.io/", "docker-local", "example.jfrog.io/docker-local"),
        ("example.jfrog.io:8443", "docker-local", "example.jfrog.io:8443/docker-local"),
        ("https://user:password@example.jfrog.io", "docker-local", "/docker-local"),
        (None, "docker-local", "/docker-local"),
        ("https://example.jfrog.io", "../x", "example.jfrog.io"),
        ("https://example.jfrog.io", 5, "example.jfrog.io"),
    ],
)
def test_jfrog_registry_is_host_and_repository_key(origin: Any, key: Any, registry: str) -> None:
    body = changed("jfrog.json", "jpd_origin", origin)
    assert events(change(body, "data/repo_key", key))[0].registry == registry


def test_quay_returns_one_event_for_each_tag() -> None:
    body = changed("quay.json", "updated_tags", ["latest", 5, "", "v2"])
    assert [event.tag for event in events(body)] == ["latest", "v2"]


def test_lists_are_read_up_to_10_000_items() -> None:
    push = {"action": "push", "target": {"repository": "team/app", "tag": "v1"}}
    assert [event.tag for event in events({"events": [{}] * 9_999 + [push]})] == ["v1"]
    assert events({"events": [{}] * 10_000 + [push]}) == []
    tags = [f"v{number}" for number in range(10_001)]
    body = {"docker_url": "quay.io/team/app", "repository": "team/app", "updated_tags": tags}
    assert [event.tag for event in events(body)] == tags[:10_000]


def test_array_of_more_than_10_000_items_raises() -> None:
    push = {"events": [{"action": "push", "target": {"repository": "team/app", "tag": "v1"}}]}
    assert [event.tag for event in events([{}] * 9_999 + [push])] == ["v1"]
    assert problem([push] * 10_001) == "the array has more than 10000 items"


def test_alibaba_with_null_digest_stays_alibaba() -> None:
    body = changed("alibaba_acr.json", "push_data/digest", None)
    assert (dialect(body), events(body)[0].digest) == ("alibaba", None)


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, ""), (None, ""), ([1], ""), (1.5, "1.5"), ("x" * 256, ""), ("a\nb", ""), ("\ud800", "")],
)
def test_event_id_is_short_printable_text_or_a_number(value: Any, text: str) -> None:
    assert events(changed("azure_acr.json", "id", value))[0].event_id == text


@pytest.mark.parametrize("host", ["evil\r\nhost", "user:password@host", "a" * 256, "host/path", " ", 5])
def test_host_that_cannot_be_one_counts_as_absent(host: Any) -> None:
    assert events(changed("azure_acr.json", "request/host", host))[0].registry == ""


@pytest.mark.parametrize("host", ["localhost:5000", "[::1]:5000", "registry_1.internal"])
def test_host_with_port_is_read(host: str) -> None:
    assert events(changed("azure_acr.json", "request/host", host))[0].registry == host


# Bodies that are not understood


@pytest.mark.parametrize(
    ("name", "path", "key"),
    [
        ("harbor_default.json", "event_data/repository", "event_data.repository.repo_full_name"),
        ("harbor_default.json", "event_data/resources", "event_data.resources"),
        ("harbor_cloudevents.json", "data/repository/repo_full_name", "data.repository.repo_full_name"),
        ("ecr_eventbridge.json", "detail/repository-name", "detail.repository-name"),
        ("azure_acr.json", "target/repository", "target.repository"),
        ("azure_eventgrid_image_pushed.json", "0/data/target", "data.target.repository"),
        (
            "github_registry_package_legacy_tagged.json",
            "registry_package/owner",
            "registry_package.owner.login",
        ),
        ("github_registry_package_legacy_tagged.json", "registry_package/name", "registry_package.name"),
        ("jfrog.json", "data/image_name", "data.image_name"),
        ("quay.json", "repository", "repository"),
        ("dockerhub.json", "repository", "repository.repo_name"),
        ("alibaba_acr.json", "repository/repo_full_name", "repository.repo_full_name"),
    ],
)
def test_push_without_its_repository_raises_with_the_missing_key(name: str, path: str, key: str) -> None:
    for new in (..., 5, None):
        text = problem(changed(name, path, new))
        assert text.startswith(f"{EXPECTED[name][0]}: the key {key} is missing or is not ")


def test_quay_tags_of_another_kind_raise() -> None:
    assert (
        problem(changed("quay.json", "updated_tags", 5))
        == "quay: the key updated_tags is missing or is not a list"
    )


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"nonsense", b"\xff\xfe\x00", b"[" * 100_000, b'{"a":' * 100_000, b"1" * 5000, b"\x00"],
)
def test_body_that_is_not_json_raises(body: bytes) -> None:
    with pytest.raises(NotUnderstood) as caught:
        read_push_events(body, {})
    assert str(caught.value) == "the body is not JSON"


@pytest.mark.parametrize("body", [b"5", b"null", b'"text"', b"true"])
def test_body_that_is_not_an_object_raises(body: bytes) -> None:
    with pytest.raises(NotUnderstood, match="not a JSON object"):
        read_push_events(body, {})


@pytest.mark.parametrize("body", [{}, {"push_data": 5}, {"type": 5}, {"source": "aws.s3"}, {"message": "x"}])
def test_unknown_dialect_raises_and_lists_the_known_keys(body: Any) -> None:
    text = problem(body)
    assert text.startswith("not a webhook of a known registry")
    assert "event_data" in text


def test_error_keeps_no_value_of_the_body() -> None:
    with pytest.raises(NotUnderstood) as caught:
        read_push_events(b'{"planted-secret-1234": "planted-secret-1234"', {})
    error: BaseException | None = caught.value
    while error is not None:
        assert "planted-secret" not in f"{error!r} {vars(error)}"
        error = error.__context__


# Names


@pytest.mark.parametrize("name", ["Team/App", "team//app", "../app", "team/app:v1", "team app"])
def test_name_outside_the_grammar_is_returned_as_sent(name: str) -> None:
    assert events(changed("dockerhub.json", "repository/repo_name", name))[0].repository == name


@pytest.mark.parametrize("name", ["a" * 256, "team/app\n", "\ud800", "\u202eteam", "\x00"])
def test_name_that_must_not_reach_a_log_is_dropped(name: str) -> None:
    assert events(changed("dockerhub.json", "repository/repo_name", name)) == []


# Forms


FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}


def test_form_with_a_payload_is_read() -> None:
    body = urlencode({"payload": read_sample("github_package.json").decode()}).encode()
    assert read_push_events(body, FORM) == EXPECTED["github_package.json"]


def test_json_that_is_declared_as_a_form_is_read() -> None:
    assert read_push_events(read_sample("quay.json"), FORM) == EXPECTED["quay.json"]


@pytest.mark.parametrize(
    "body", [b"payload=", b"payload=%7B", b"other=1", b"&" * 1000 + b"payload={}", b"payload=\xff"]
)
def test_form_without_json_raises(body: bytes) -> None:
    with pytest.raises(NotUnderstood, match="the body is not JSON"):
        read_push_events(body, FORM)


def test_form_without_its_content_type_is_not_read() -> None:
    with pytest.raises(NotUnderstood, match="the body is not JSON"):
        read_push_events(b"payload=%7B%7D", {})
