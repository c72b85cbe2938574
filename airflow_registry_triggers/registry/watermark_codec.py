# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The packed form of a shard of a watermark: about 51 characters for each tag."""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["KEY_SIZE", "MAX_VALUE", "Entry", "Shard", "estimated_size", "pack", "unpack"]

KEY_SIZE = 6
"""Bytes of the keyed hash of a tag. Two of 10,000 tags collide with a probability of 1 in 5 million."""

MAX_VALUE = 48_000
"""Maximum size of one stored value, in bytes."""

_SIZES = {"pending": 0, "sha256": 32, "sha512": 64}
"""Bytes of a digest by its algorithm. A pending tag has an unknown digest."""

_MAX_GENERATIONS = 1_000_000


Entry = tuple[int, str | None]
"""
Generation and last acknowledged digest of one tag; the digest is None if it is not known.

A plain tuple, because Python's garbage collector does not track it. With 200,000 tracked objects, each full
collection stops the triggerer's event loop for a fifth of a second.
"""

Shard = Mapping[bytes, Entry]
"""Entries by the hash of the tag."""


def pack(shard: Shard, epoch: str) -> dict[str, Any]:
    """
    Return the stored form: for each algorithm one column of keys, of generations and of digests.

    :param shard: the entries
    :param epoch: stored with them, so that a shard of an older epoch is recognised
    :return: JSON
    """
    columns: dict[str, Any] = {}
    groups: dict[str, list[tuple[bytes, Entry]]] = {algorithm: [] for algorithm in _SIZES}
    for item in sorted(shard.items()):
        groups[_algorithm(item[1][1])].append(item)
    for algorithm, entries in groups.items():
        if entries:
            columns[algorithm] = [
                _text(b"".join(key for key, _ in entries)),
                _text(zlib.compress(_varints(generation for _, (generation, _) in entries))),
                _text(bytes.fromhex("".join(_digits(digest) for _, (_, digest) in entries))),
            ]
    return {"epoch": epoch, "columns": columns, "check": _checksum(epoch, columns)}


def unpack(value: object, epoch: str) -> dict[bytes, Entry] | None:
    """
    Read the stored form.

    :param value: the stored value
    :param epoch: the epoch of the head
    :return: None if the value is missing, damaged or of another epoch
    """
    try:
        return _unpacked(value, epoch)
    except (ValueError, TypeError, KeyError, IndexError, zlib.error):
        return None


def estimated_size(shard: Shard) -> int:
    """
    Return an upper bound of the packed form's size, in bytes of JSON.

    :param shard: the entries
    """
    generations = sum(_varint_size(generation) for generation, _ in shard.values())
    digests = sum(_SIZES[_algorithm(digest)] for _, digest in shard.values())
    return 400 + (KEY_SIZE * len(shard) + generations + digests) * 4 // 3


def _unpacked(value: object, epoch: str) -> dict[bytes, Entry] | None:
    if not isinstance(value, dict) or value["epoch"] != epoch:
        return None
    columns = value["columns"]
    if value["check"] != _checksum(epoch, columns):
        return None
    shard: dict[bytes, Entry] = {}
    for algorithm, (keys, generations, digests) in columns.items():
        shard.update(_column(algorithm, _raw(keys), _raw(generations), _raw(digests)))
    return shard


def _column(algorithm: str, keys: bytes, packed: bytes, digests: bytes) -> dict[bytes, Entry]:
    size = _SIZES[algorithm]
    generations = _numbers(zlib.decompressobj().decompress(packed, _MAX_GENERATIONS))
    if len(keys) != len(generations) * KEY_SIZE or len(digests) != len(generations) * size:
        raise ValueError("columns differ in length")
    digits = digests.hex()
    return {
        keys[n * KEY_SIZE : (n + 1) * KEY_SIZE]: (
            generation,
            f"{algorithm}:{digits[n * size * 2 : (n + 1) * size * 2]}" if size else None,
        )
        for n, generation in enumerate(generations)
    }


def _algorithm(digest: str | None) -> str:
    return digest.partition(":")[0] if digest else "pending"


def _digits(digest: str | None) -> str:
    return digest.partition(":")[2] if digest else ""


def _checksum(epoch: str, columns: Mapping[str, Any]) -> int:
    text = "\n".join([epoch, *(text for name in sorted(columns) for text in (name, *columns[name]))])
    return zlib.crc32(text.encode())


def _text(raw: bytes) -> str:
    return b64encode(raw).decode()


def _raw(text: str) -> bytes:
    return b64decode(text, validate=True)


def _varint_size(number: int) -> int:
    return 1 if number < 128 else max(1, (number.bit_length() + 6) // 7)


def _varints(numbers: Iterable[int]) -> bytes:
    """Encode numbers as LEB128: seven bits in a byte, the lowest first; the eighth bit: more follow."""
    packed = bytearray()
    for number in numbers:
        rest = number
        while rest > 127:
            packed.append(rest & 127 | 128)
            rest >>= 7
        packed.append(rest)
    return bytes(packed)


def _numbers(packed: bytes) -> list[int]:
    numbers: list[int] = []
    number = shift = 0
    for byte in packed:
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            numbers.append(number)
            number = shift = 0
    if shift:
        raise ValueError("truncated")
    return numbers
