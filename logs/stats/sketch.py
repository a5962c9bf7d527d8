"""Sketches of sets: how many different texts were added, within a known error, in 4,096 bytes whatever their number. Pure.

HyperLogLog (Flajolet, Fusy, Gandouet, Meunier 2007) over 64-bit hashes (as Heule, Nunkesser, Hall 2013), with the estimator of
Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017), algorithm 6: it needs no tables of its bias, and holds
from zero on. The merge of two sketches is the sketch of the union; adding again what was added changes nothing.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable

PRECISION = 12
REGISTERS = 1 << PRECISION
# Bits of a hash that are left for the rank.
_RANK_BITS = 64 - PRECISION
# The relative standard error: 1.63 %.
STANDARD_ERROR = 1.04 / math.sqrt(REGISTERS)
EMPTY = bytes(REGISTERS)
# No register is above 53, so the highest bit of each byte is free.
_HIGH_BITS = int.from_bytes(b"\x80" * REGISTERS)


def sketch_of(texts: Iterable[str]) -> bytes:
    """The sketch of these texts: one byte a register."""
    registers = bytearray(REGISTERS)
    for text in texts:
        hashed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
        place = hashed >> _RANK_BITS
        # Where the first 1 stands in the bits that are left, from 1; 53 if there is none.
        rank = _RANK_BITS + 1 - (hashed & ((1 << _RANK_BITS) - 1)).bit_length()
        registers[place] = max(registers[place], rank)
    return bytes(registers)


def merge(sketches: Iterable[bytes]) -> bytes:
    """The sketch of the union: of each register the greatest. All bytes at once, as one long number: 10 µs a sketch instead of 300."""
    merged = 0
    for sketch in sketches:
        other = int.from_bytes(sketch)
        # The high bit of a byte stays where `merged` is not below `other`; nothing is borrowed from the byte beside it.
        is_greater = (((merged | _HIGH_BITS) - other) & _HIGH_BITS) >> 7
        mask = is_greater * 0xFF
        merged = (merged & mask) | (other & ~mask)
    return merged.to_bytes(REGISTERS)


def estimate(sketch: bytes) -> float:
    """How many different texts the sketch has seen (Ertl 2017, algorithm 6)."""
    counts = [sketch.count(rank) for rank in range(_RANK_BITS + 2)]
    z = REGISTERS * _tau(1 - counts[_RANK_BITS + 1] / REGISTERS)
    for rank in range(_RANK_BITS, 0, -1):
        z = (z + counts[rank]) / 2
    z += REGISTERS * _sigma(counts[0] / REGISTERS)
    return REGISTERS * REGISTERS / (2 * math.log(2) * z)


def _sigma(x: float) -> float:
    if x == 1:
        return math.inf
    y, z = 1.0, x
    while True:
        x *= x
        before = z
        z += x * y
        y += y
        if z == before:
            return z


def _tau(x: float) -> float:
    if x in (0, 1):
        return 0.0
    y, z = 1.0, 1 - x
    while True:
        x = math.sqrt(x)
        before = z
        y /= 2
        z -= (1 - x) ** 2 * y
        if z == before:
            return z / 3
