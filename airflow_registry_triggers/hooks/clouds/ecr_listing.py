# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The listing of a repository on Amazon ECR, with the identity of the cloud Connection."""

from __future__ import annotations

import re
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.hooks.clouds.amazon import ecr_hook, named_failures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_registry_triggers.hooks.cloud_login import CloudLogin
    from airflow_registry_triggers.hooks.clouds.request import CloudRequest
    from airflow_registry_triggers.registry.bulk.ecr import ListImages

__all__ = ["list_images_of"]

_ACCOUNT = re.compile(r"([0-9]{12})\.dkr[.-]ecr")
_MAX_CLIENTS = 64

# Making a client takes 0.3 s of the interpreter's lock; boto3's clients may be shared between threads.
_clients: OrderedDict[str, Any] = OrderedDict()
_lock = Lock()


def list_images_of(login: CloudLogin) -> ListImages:
    """
    Return the call that lists images with a login's identity.

    :param login: of a Connection of type ``aws``
    """

    async def list_images(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return await login.call(lambda request: _listed(request, login.key, arguments))

    return list_images


def _listed(request: CloudRequest, key: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Call ``ListImages``; runs in a thread, because the SDK is imported here."""
    account = _ACCOUNT.match(request.host)
    registry = {"registryId": account[1]} if account else {}
    with named_failures(request):
        answer: Mapping[str, Any] = _client(request, key).list_images(**registry, **arguments)
    return answer


def _client(request: CloudRequest, key: str) -> Any:
    with _lock:
        client = _clients.pop(key, None)
    client = client or ecr_hook(request).conn
    with _lock:
        _clients[key] = client
        while len(_clients) > _MAX_CLIENTS:
            _clients.popitem(last=False)
    return client
