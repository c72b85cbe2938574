# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Tiny OCI images made by hand, pushed and pulled by skopeo or, where many are wanted, by plain requests."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.harness.processes import find_program

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.harness.docker_registry import DockerRegistry

__all__ = ["Image", "manifest_of", "pull", "push", "put_image", "put_tag", "remove_manifest"]

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def _digest(blob: bytes) -> str:
    return "sha256:" + hashlib.sha256(blob).hexdigest()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _tar() -> bytes:
    content = b"an image of no use\n"
    entry = tarfile.TarInfo("README")
    entry.size = len(content)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


_LAYER_TAR = _tar()
_LAYER_BLOB = gzip.compress(_LAYER_TAR, mtime=0)


@dataclass(frozen=True)
class Image:
    """
    An image of one layer; the label makes its config, its manifest and so its digest its own.

    :param label: any text; the same gives the same digest
    """

    label: str

    @property
    def config(self) -> bytes:
        """The image's config as it is stored."""
        return _json(
            {
                "architecture": "amd64",
                "os": "linux",
                "created": "2026-01-01T00:00:00Z",
                "config": {"Labels": {"label": self.label}},
                "rootfs": {"type": "layers", "diff_ids": [_digest(_LAYER_TAR)]},
            }
        )

    @property
    def manifest(self) -> bytes:
        """The image's manifest as it is stored."""
        return _json(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": _descriptor(_CONFIG, self.config),
                "layers": [_descriptor(_LAYER, _LAYER_BLOB)],
            }
        )

    @property
    def digest(self) -> str:
        """The digest of the manifest, which is what a tag points at."""
        return _digest(self.manifest)

    @property
    def blobs(self) -> dict[str, bytes]:
        """The config and the layer by their digests."""
        return {_digest(blob): blob for blob in (self.config, _LAYER_BLOB)}

    def write_layout(self, folder: Path) -> None:
        """
        Write the image as an OCI layout that holds it alone.

        :param folder: made where it is missing
        """
        blobs = folder / "blobs" / "sha256"
        blobs.mkdir(parents=True, exist_ok=True)
        for digest, blob in {**self.blobs, self.digest: self.manifest}.items():
            (blobs / digest.partition(":")[2]).write_bytes(blob)
        index = {"schemaVersion": 2, "manifests": [_descriptor(MANIFEST, self.manifest)]}
        (folder / "index.json").write_bytes(_json(index))
        (folder / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))


def _descriptor(media_type: str, blob: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": _digest(blob), "size": len(blob)}


def _skopeo(*arguments: str) -> None:
    command = [find_program("skopeo", "SKOPEO"), "--insecure-policy", "copy", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    if done.returncode:
        raise RuntimeError(f"skopeo copy {arguments[-2]} {arguments[-1]}: {done.stderr.strip()}")


def _access(registry: DockerRegistry, side: str) -> list[str]:
    access = [f"--{side}-tls-verify=false"]
    if registry.credentials:
        access.append(f"--{side}-creds={':'.join(registry.credentials)}")
    return access


def push(registry: DockerRegistry, image: Image, repository: str, tag: str) -> str:
    """
    Push an image as a user does, with skopeo, and give its digest.

    :param registry: where to
    :param image: what
    :param repository: full name
    :param tag: the tag
    """
    layout = registry.folder / "layouts" / image.digest.partition(":")[2]
    image.write_layout(layout)
    _skopeo(*_access(registry, "dest"), f"oci:{layout}", f"docker://{registry.host}/{repository}:{tag}")
    return image.digest


def pull(registry: DockerRegistry, repository: str, digest: str, folder: Path) -> str:
    """
    Pull an image by its digest with skopeo and give the digest of what arrived.

    :param registry: where from
    :param repository: full name
    :param digest: of the manifest
    :param folder: for the image, as an OCI layout
    """
    _skopeo(*_access(registry, "src"), f"docker://{registry.host}/{repository}@{digest}", f"oci:{folder}")
    index = json.loads((folder / "index.json").read_bytes())
    pulled = str(index["manifests"][0]["digest"])
    return _digest((folder / "blobs" / "sha256" / pulled.partition(":")[2]).read_bytes())


def put_image(registry: DockerRegistry, image: Image, repository: str, tags: Iterable[str]) -> str:
    """
    Push an image by plain requests, far quicker than skopeo, and give its digest.

    :param registry: where to
    :param image: what
    :param repository: full name
    :param tags: the tags that shall point at it
    """
    for digest, blob in image.blobs.items():
        _put_blob(registry, repository, digest, blob)
    for tag in tags:
        _put_manifest(registry, repository, tag, image.manifest)
    return image.digest


def put_tag(registry: DockerRegistry, repository: str, tag: str, digest: str) -> None:
    """
    Let a tag point at a manifest that is there.

    :param registry: where
    :param repository: full name
    :param tag: the tag, new or not
    :param digest: of the manifest
    """
    _put_manifest(registry, repository, tag, manifest_of(registry, repository, digest))


def manifest_of(registry: DockerRegistry, repository: str, reference: str) -> bytes:
    """
    Read a manifest.

    :param registry: where
    :param repository: full name
    :param reference: tag or digest
    """
    answer = registry.request("GET", f"/v2/{repository}/manifests/{reference}", headers={"Accept": MANIFEST})
    if answer.status != 200:
        raise RuntimeError(f"GET manifest {repository} {reference}: {answer.status} {answer.body[:200]!r}")
    return answer.body


def remove_manifest(registry: DockerRegistry, repository: str, digest: str) -> None:
    """
    Delete a manifest and with it all tags that point at it.

    :param registry: where
    :param repository: full name
    :param digest: of the manifest
    """
    answer = registry.request("DELETE", f"/v2/{repository}/manifests/{digest}")
    if answer.status != 202:
        raise RuntimeError(f"DELETE manifest {repository} {digest}: {answer.status} {answer.body[:200]!r}")


def _put_manifest(registry: DockerRegistry, repository: str, tag: str, manifest: bytes) -> None:
    answer = registry.request(
        "PUT", f"/v2/{repository}/manifests/{tag}", body=manifest, headers={"Content-Type": MANIFEST}
    )
    if answer.status != 201:
        raise RuntimeError(f"PUT manifest {repository}:{tag}: {answer.status} {answer.body[:200]!r}")


def _put_blob(registry: DockerRegistry, repository: str, digest: str, blob: bytes) -> None:
    if registry.request("HEAD", f"/v2/{repository}/blobs/{digest}").status == 200:
        return
    started = registry.request("POST", f"/v2/{repository}/blobs/uploads/")
    if started.status != 202:
        raise RuntimeError(f"POST upload {repository}: {started.status} {started.body[:200]!r}")
    place = urlsplit(started.headers["location"])
    answer = registry.request(
        "PUT",
        f"{place.path}?{place.query}&digest={digest}",
        body=blob,
        headers={"Content-Type": "application/octet-stream"},
    )
    if answer.status != 201:
        raise RuntimeError(f"PUT blob {repository} {digest}: {answer.status} {answer.body[:200]!r}")
