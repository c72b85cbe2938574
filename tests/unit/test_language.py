# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Docs, docstrings, comments and texts are plain technical English, as far as a program can check."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "airflow_registry_triggers"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
MODULES = sorted(PACKAGE.rglob("*.py"))

MAX_HEADLESS = 1.0
"""Occurrences in 1,000 words."""

MAX_OTHERS = 1.5
"""Negations and struck words together, in 1,000 words."""

_BEFORE = (
    "about|and|are|as|at|by|for|from|give|gives|given|in|into|is|know|knows|mean|means|name|names|not|of|on|or|"
    "read|reads|record|records|remember|remembers|return|returns|say|says|see|send|sends|show|shows|tell|tells|"
    "than|that|to|with"
)
# A clause without a noun: "what is there", "of whoever", "those that". A question keeps its "what".
HEADLESS = re.compile(
    rf"(?:(?:^|(?<=[.;:!?(|—])\s+|(?<=^[-*] )|\b(?:{_BEFORE})\s+)"
    r"(?:what|whatever|who|whom|whoever|that which|the one that|those (?:that|who|of|which))\b)(?![^.\n]{0,80}\?)",
    re.IGNORECASE | re.MULTILINE,
)
NEGATION = re.compile(
    r"\b(?:is|are|was|were|be|been|has|have|had|there (?:is|are|was|were)) (?:no|none|nothing|nowhere|nobody)\b"
    r"(?! longer\b)",
    re.IGNORECASE,
)
STRUCK = re.compile(
    r"\b(?:a while ago|anew|at hand|befall\w*|begins? anew|besides|brings? it along|for good|go(?:es)? on|going on|"
    r"hand(?:s|ed|ing)? on|heed(?:s|ed|ing)?|in vain|lead(?:s)? astray|let(?:s)? (?:go|pass)|meanwhile|"
    r"mend(?:s|ed|ing)?|nor|pass(?:es|ed|ing)? on|stands? (?:at|for|here|in|on|there)|take(?:s)? along|therein|"
    r"thereof|thereupon|whereof)\b",
    re.IGNORECASE,
)
OPENING = re.compile(r"^(?:#+ |\| |[-*] )?(?:What|Who|Whatever|Of|Also)\b(?![^.|\n]*\?)[^\n]*", re.MULTILINE)
"""A sentence, heading or table cell that does not begin with its subject."""

# "Neither a nor b" is plain English; "nor" alone is not.
NOT_PROSE = re.compile(
    r"\bneither\b[^.;|]{0,120}?\bnor\b|``[^`]*``|`[^`]*`|\]\([^)]*\)|https?://\S+|:(?:param|raises|return|rtype)(?: \w+)?:"
)
IGNORED_COMMENTS = ("SPDX", "Part of airflow", "noqa", "type: ignore", "pragma", "fmt:")


def prose(text: str) -> str:
    """Return a text without code, links, field names and complete pairs of neither and nor."""
    return NOT_PROSE.sub(" ", text)


def page_text(path: Path) -> str:
    return prose(
        re.sub(
            r"^( *)(```|:::).*?^\1\2", " ", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
        )
    )


def docstrings(tree: ast.Module) -> list[str]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return [text for node in ast.walk(tree) if isinstance(node, kinds) and (text := ast.get_docstring(node))]


def literals(tree: ast.Module) -> list[str]:
    """Return string literals of three words and more, docstrings of attributes included; f-strings are joined."""
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    described = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    texts = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "x" for part in node.values]
            texts.append("".join(map(str, parts)))
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in inside | described
        ):
            texts.append(node.value)
    return [text for text in texts if len(text.split()) > 2]


def comments(source: str) -> list[str]:
    """Return the comments, those on following lines as one text."""
    found: list[str] = []
    last = (-2, -1)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        text = token.string.lstrip("#: ")
        if token.type != tokenize.COMMENT or any(word in token.string for word in IGNORED_COMMENTS):
            continue
        if token.start == (last[0] + 1, last[1]):
            found[-1] += f" {text}"
        else:
            found.append(text)
        last = token.start
    return found


def code_text(path: Path) -> str:
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    return prose("\n".join((*docstrings(tree), *literals(tree), *comments(source))))


TEXTS = {
    "docs": "\n".join(map(page_text, PAGES)),
    "code": "\n".join(map(code_text, MODULES)),
}


def found(pattern: re.Pattern[str], text: str) -> list[str]:
    return [
        " ".join(text[max(0, match.start() - 40) : match.end() + 40].split())
        for match in pattern.finditer(text)
    ]


def rate(places: list[str], text: str) -> float:
    return 1000 * len(places) / len(re.findall(r"[A-Za-z']+", text))


@pytest.mark.parametrize("kind", TEXTS)
def test_text_has_few_headless_nouns(kind: str) -> None:
    places = found(HEADLESS, TEXTS[kind])
    assert rate(places, TEXTS[kind]) < MAX_HEADLESS, "\n".join(places)


@pytest.mark.parametrize("kind", TEXTS)
def test_text_has_few_negated_nouns_and_struck_words(kind: str) -> None:
    places = [*found(NEGATION, TEXTS[kind]), *found(STRUCK, TEXTS[kind])]
    assert rate(places, TEXTS[kind]) < MAX_OTHERS, "\n".join(places)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_page_starts_sentences_with_their_subject(path: Path) -> None:
    assert found(OPENING, page_text(path)) == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_docstring_starts_with_its_verb_or_noun(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert [text for text in docstrings(tree) if OPENING.match(text.lstrip())] == []


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (HEADLESS, "It remembers what is there."),
        (HEADLESS, "Done.\nWho wants it again"),
        (HEADLESS, "the limit of those that wait"),
        (NEGATION, "a value that is no tag"),
        (NEGATION, "The task has none."),
        (STRUCK, "It fails for good"),
        (STRUCK, "the text is passed on"),
        (OPENING, "| Whatever a registry sends | text |"),
    ],
)
def test_pattern_with_a_matching_text_finds_it(pattern: re.Pattern[str], text: str) -> None:
    assert pattern.search(text)


@pytest.mark.parametrize(
    "text",
    [
        "What does the page show?",
        "The tag no longer exists.",
        "Return True if no tag matches.",
        "It does not match.",
    ],
)
def test_patterns_with_plain_english_find_nothing(text: str) -> None:
    assert [
        pattern.pattern for pattern in (HEADLESS, NEGATION, STRUCK, OPENING) if pattern.search(text)
    ] == []
