# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import pytest

from airflow_registry_triggers.delivery.dry_run import DryRun
from airflow_registry_triggers.exceptions import DeliveryFailed
from airflow_registry_triggers.notification import Notification
from airflow_registry_triggers.webhook.delivery import Delivery

PUSH = Notification.from_dict(
    {"push_data": {"tag": "v1"}, "repository": {"repo_full_name": "team/app"}, "event": {"id": "e1"}}
)


def dry_run(url):
    return DryRun(Delivery(url=url, allowed_networks=["127.0.0.0/8"]), [(PUSH, "prod")], 1)


def test_dry_run_of_a_valid_delivery_reports_a_test_record_and_passes():
    reported = []
    run = dry_run("http://127.0.0.1:8080/x")
    (record,) = run.run(reported.append)
    assert (record.status_code, record.is_test) == ("dry_run", True)
    assert reported == [record]
    run.check()


def test_dry_run_of_a_blocked_url_fails_without_a_retry():
    run = dry_run("http://10.1.2.3/x")
    (record,) = run.run(lambda _: None)
    assert (record.status_code, record.is_test) == ("blocked", True)
    with pytest.raises(DeliveryFailed, match="1 of 1 webhooks failed: team/app:v1 → 10.1.2.3 blocked"):
        run.check()
