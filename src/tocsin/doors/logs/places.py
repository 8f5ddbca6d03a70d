"""Where a listing goes on: tokens of this service, which answers a bad one with InvalidParameterException."""

from typing import TypeVar

import msgspec

from tocsin.doors.wire import tokens
from tocsin.model.errors import InvalidParameter

T = TypeVar("T")

# Of the listings described by the page; searching has limits of its own.
PAGE_MAX = 50


def token_of(kind: str, *position: object) -> str:
    return tokens.encode(kind, list(position))


def position_in(kind: str, token: str, shape: type[T]) -> T:
    """What `token_of` was given, as `shape` (a tuple type). Raises InvalidParameter: the token is not one of these."""
    try:
        return msgspec.convert(tokens.decode(kind, token, error=InvalidParameter), shape)
    except msgspec.ValidationError as odd:
        raise InvalidParameter(tokens.INVALID) from odd
