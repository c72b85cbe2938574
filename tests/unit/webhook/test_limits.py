# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import pytest

from airflow_registry_triggers.webhook.limits import check_timeout


@pytest.mark.parametrize("timeout", [1, 1.0, 15, 60, 60.0])
def test_check_timeout_within_its_limits_is_returned_as_a_float(timeout):
    assert check_timeout(timeout) == float(timeout)


@pytest.mark.parametrize("timeout", [0, 0.99, 60.01, -1, True, "15", None, float("nan"), float("inf")])
def test_check_timeout_other_value_is_an_error_that_names_it(timeout):
    with pytest.raises(ValueError, match=r"request_timeout=.* must be a number of seconds from 1 to 60"):
        check_timeout(timeout)
