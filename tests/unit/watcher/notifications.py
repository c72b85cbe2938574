# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

from airflow_registry_triggers.notification import Notification
from tests.unit.registry.scripted_registry import digest_of


def notification_of(number, *, tag=None, epoch="epoch", generation=1, name="team/app"):
    return Notification(
        {
            "push_data": {
                "digest": digest_of(str(number)),
                "pushed_at": "2026-01-01 00:00:00",
                "tag": tag or f"t{number}",
            },
            "repository": {"name": name.rpartition("/")[2], "repo_full_name": name},
            "event": {"id": f"{number:032x}", "epoch": epoch, "generation": generation},
        }
    )
