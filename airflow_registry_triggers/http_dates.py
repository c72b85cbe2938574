# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Dates of HTTP, and the ``Retry-After`` header."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

__all__ = ["parse_http_date", "parse_retry_after"]

_DIGITS = re.compile(r"[0-9]{1,10}")

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
# RFC 9110 5.6.7: a recipient must accept all three forms. strptime would follow the locale.
_HTTP_DATES = (
    re.compile(
        rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT"
    ),
    re.compile(
        r"(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday), "
        rf"(?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT"
    ),
    re.compile(
        rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) {_MONTH} (?P<day>[0-9]{{2}}| [0-9]) {_TIME} (?P<year>[0-9]{{4}})"
    ),
)


def parse_retry_after(value: str | None, now: datetime | float) -> float | None:
    """
    Return the seconds that a ``Retry-After`` header asks for (RFC 9110 10.2.3).

    :param value: digits, or an HTTP date in any of its three forms
    :param now: the time, with a time zone or as seconds since the epoch
    :return: seconds, 0 for a date in the past, None for any other text
    :raises ValueError: ``now`` has no time zone
    """
    moment = _with_zone(now)
    text = (value or "").strip(" \t")
    if _DIGITS.fullmatch(text):
        return float(text)
    date = parse_http_date(text, moment)
    return None if date is None else max(0.0, (date - moment).total_seconds())


def parse_http_date(text: str | None, now: datetime | float) -> datetime | None:
    """
    Return the date of a header in any of the three forms of RFC 9110 5.6.7, None for any other text.

    :param text: the header's value
    :param now: the time; resolves the years of two digits
    """
    for form in _HTTP_DATES:
        match = form.fullmatch(text or "")
        if match is not None:
            return _date_of(match, _with_zone(now))
    return None


def _with_zone(now: datetime | float) -> datetime:
    if not isinstance(now, datetime):
        return datetime.fromtimestamp(now, UTC)
    if now.tzinfo is None:
        raise ValueError(f"now={now!r} has no time zone. Use datetime.now(UTC)")
    return now.astimezone(UTC)


def _date_of(match: re.Match[str], now: datetime) -> datetime | None:
    month = _MONTHS.index(match["month"]) + 1
    day, hour, minute, second = (int(match[name]) for name in ("day", "hour", "minute", "second"))
    leap = second == 60  # the grammar has it, datetime has not
    try:
        date = datetime(_full_year(match["year"], now), month, day, hour, minute, second - leap, tzinfo=UTC)
        return date + timedelta(seconds=int(leap))
    except (ValueError, OverflowError):
        return None


def _full_year(text: str, now: datetime) -> int:
    if len(text) == 4:
        return int(text)
    year = now.year - now.year % 100 + int(text)
    # RFC 9110: more than 50 years ahead means the past century.
    return year - 100 if year > now.year + 50 else year
