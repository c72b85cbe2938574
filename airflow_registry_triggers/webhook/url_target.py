# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Path and query of a request: percent-encoded as in the URL standard, without dot segments."""

from __future__ import annotations

import re

__all__ = ["normalize_target", "with_query"]

# URL standard, "path percent-encode set" and "special-query percent-encode set", beyond the controls.
_PATH_ENCODED = frozenset(' "#<>?^`{}')
_QUERY_ENCODED = frozenset(" \"#<>'")
_NO_QUERY = re.compile(r"[\x00-\x20\x7f#\ud800-\udfff]")
_DOT = re.compile(r"\.|%2[eE]")


def normalize_target(tail: str) -> str:
    """
    Return the request target of the text after the authority.

    :param tail: path, query and fragment; the fragment is dropped
    :return: path and query, beginning with a slash; a question mark without a query is dropped
    """
    path_and_query, _, _ = tail.partition("#")
    path, _, query = path_and_query.partition("?")
    target = _encode(_without_dots(path), _PATH_ENCODED)
    return f"{target}?{_encode(query, _QUERY_ENCODED)}" if query else target


def with_query(target: str, query: str) -> str:
    """
    Return a target with more parameters in its query. The error never shows them.

    :param target: path and query
    :param query: parameters to append; a ``?`` or ``&`` before them is dropped
    :raises ValueError: the parameters contain a control character, white space or ``#``
    """
    query = query.lstrip("?&")
    if not query:
        return target
    if _NO_QUERY.search(query):
        raise ValueError("secret_query contains a control character, white space or #; percent-encode it")
    return f"{target}{'&' if '?' in target else '?'}{_encode(query, _QUERY_ENCODED)}"


def _encode(text: str, encoded: frozenset[str]) -> str:
    return "".join(char if "!" <= char <= "~" and char not in encoded else _percent(char) for char in text)


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode())


def _without_dots(path: str) -> str:
    # RFC 3986 5.2.4; the URL standard reads %2e as a dot too.
    kept: list[str] = []
    last = ""
    for segment in path.split("/")[1:]:
        last = _DOT.sub(".", segment) if len(segment) <= len("%2e%2e") else segment
        if last == "..":
            del kept[-1:]
        elif last != ".":
            kept.append(segment)
    if last in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)
