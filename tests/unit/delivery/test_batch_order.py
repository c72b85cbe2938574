# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import asyncio

from tests.unit.delivery.test_batch import Receiver, case_of, push


async def test_batch_with_several_pushes_of_a_tag_sends_them_one_after_the_other():
    steps = []

    class Steps(Receiver):
        async def attempt(self, notification, name, try_number):
            steps.append(f"begin {notification.id}")
            # The first of a tag is the slowest: it would arrive last.
            await asyncio.sleep(0.03 if notification.id.endswith("1") else 0)
            steps.append(f"end {notification.id}")
            return await super().attempt(notification, name, try_number)

    case = case_of(receiver=Steps())
    pushes = [
        push("200-a", "a1"),
        push("200-b", "b1"),
        push("200-a", "a2"),
        push("503-c", "c1"),
        push("503-c", "c2"),
    ]
    case.batch._items = {of.id: (of, "prod") for of in pushes}
    await case.batch.send_all()
    for tag in "abc":
        of_tag = [step for step in steps if step.split()[1].startswith(tag)]
        assert of_tag == sorted(of_tag, key=lambda step: step[-1])
    assert steps[:3] == ["begin a1", "begin b1", "begin c1"], "several tags at a time"
    assert len(steps) == 10, "a push is sent even if an earlier one of its tag was not delivered"
