"""IP address literals and CIDR blocks, as the language reads them.

Conditions use it on both sides. Knows address texts; never asks a resolver.
"""

import re
from typing import Final

import msgspec

from .refusal import Refused

_V4 = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+")
_V6 = re.compile(r"[0-9a-fA-F:]*:[0-9a-fA-F:]*")
_MASK = re.compile(r"[+-]?[0-9]+")
_V4_MAPPED: Final = 0xFFFF
_mask_max: Final = 2**31 - 1


class Address(msgspec.Struct, frozen=True):
    """An address: its family's width in bits (32 or 128) and its number."""

    bits: int
    number: int


class Block(msgspec.Struct, frozen=True):
    """The addresses of one family from `first` to `last`, both included."""

    bits: int
    first: int
    last: int

    def __contains__(self, address: Address | None) -> bool:
        return address is not None and address.bits == self.bits and self.first <= address.number <= self.last


def looks_like_address(text: str) -> bool:
    return _V4.fullmatch(text) is not None or _V6.fullmatch(text) is not None


def parse_address(text: str) -> Address | None:
    """The address a text spells, or None. Octets are decimal; an IPv4-mapped IPv6 address is the IPv4 address."""
    if len(text) > 64:  # no spelling of an address is longer, and no event may make us try
        return None
    if _V4.fullmatch(text):
        octets = [int(part) for part in text.split(".")]
        if max(octets) > 255:
            return None
        return Address(32, int.from_bytes(bytes(octets), "big"))
    return _parse_v6(text) if _V6.fullmatch(text) else None


def _parse_v6(text: str) -> Address | None:
    head, gap, tail = text.partition("::")
    before = head.split(":") if head else []
    after = tail.split(":") if tail else []
    groups = before + ["0"] * (8 - len(before) - len(after)) + after if gap else before
    if (gap and len(before) + len(after) > 7) or len(groups) != 8 or "" in groups:
        return None
    values = [int(group, 16) for group in groups]
    if max(values) > 0xFFFF:
        return None
    number = 0
    for value in values:
        number = number << 16 | value
    if number >> 32 == _V4_MAPPED:
        return Address(32, number & 0xFFFFFFFF)
    return Address(128, number)


def parse_block(text: str) -> Block:
    """A CIDR text as a block; host bits are masked away. Raises Refused, in AWS's words."""
    parts = text.split("/")
    while len(parts) > 1 and not parts[-1]:  # a trailing slash is not seen, as on AWS
        parts.pop()
    if len(parts) != 2:
        raise Refused("Malformed CIDR, one '/' required")
    mask = int(parts[1]) if _MASK.fullmatch(parts[1]) and len(parts[1]) < 32 else None
    if mask is None or abs(mask) > _mask_max:
        raise Refused("Malformed CIDR, mask bits must be an integer")
    if mask < 0:
        raise Refused("Malformed CIDR, mask bits must not be negative")
    if not looks_like_address(parts[0]):
        raise Refused(f"Nonstandard IP address: {parts[0]}")
    address = parse_address(parts[0])
    if address is None:
        raise Refused(f"Invalid IP address: {parts[0]}")
    if mask >= address.bits:
        raise Refused("IPv4 mask bits must be < 32" if address.bits == 32 else "IPv6 mask bits must be < 128")
    hosts = (1 << (address.bits - mask)) - 1
    return Block(address.bits, address.number & ~hosts, address.number | hosts)
