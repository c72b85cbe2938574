# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Records of the access log, and the limits of their texts."""

from __future__ import annotations

from airflow_registry_triggers.access_record.limits import shortened
from airflow_registry_triggers.access_record.record import (
    BODY_LEFT_OUT,
    LOG_EVENT,
    RETRY_NOTE,
    VERDICTS,
    XCOM_PREFIX,
    AccessRecord,
    AccessRecordDict,
    RecordSummary,
    Status,
    utc_now,
)

__all__ = [
    "BODY_LEFT_OUT",
    "LOG_EVENT",
    "RETRY_NOTE",
    "VERDICTS",
    "XCOM_PREFIX",
    "AccessRecord",
    "AccessRecordDict",
    "RecordSummary",
    "Status",
    "shortened",
    "utc_now",
]
