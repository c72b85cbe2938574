# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The script of the pages."""

from __future__ import annotations

import re
from pathlib import Path

from airflow_registry_triggers.plugins import script as module
from airflow_registry_triggers.plugins.script import FILES, fingerprint, script

FOLDER = Path(module.__file__).parent / "ui"


def test_every_file_is_in_it_once():
    assert sorted(FILES) == sorted(path.stem for path in FOLDER.glob("*"))
    assert len(set(FILES)) == len(FILES)
    assert all((FOLDER / f"{name}.js").read_bytes() in script() for name in FILES)


def test_a_file_uses_what_those_before_it_define():
    for place, name in enumerate(FILES):
        text = (FOLDER / f"{name}.js").read_text()
        for later in FILES[place + 1 :]:
            defined = re.findall(
                r"^(?:async )?(?:function|const|class) (\w+)", (FOLDER / f"{later}.js").read_text(), re.M
            )
            assert defined
            assert [word for word in defined if re.search(rf"\b{word}\b\s*[(,]", text)] == [], (name, later)


def test_it_is_small_and_names_no_host():
    assert len(script()) <= 90_000
    assert re.findall(rb"\b(?:https?|wss?)://|(?<![:\w])//[\w-]+\.\w", script()) == []


def test_it_loads_nothing_and_runs_no_text():
    words = rb"\bimport\b|\beval\b|new Function|innerHTML|dangerouslySetInnerHTML|document\.write|createElement\(.script"
    assert re.findall(words, script()) == []


def test_its_fingerprint_is_of_its_bytes(monkeypatch):
    before = fingerprint()
    monkeypatch.setattr(module, "script", lambda: b"another")
    assert fingerprint() != before
