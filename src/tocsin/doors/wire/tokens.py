"""Pagination tokens: where a listing goes on, opaque to the client and checked when it comes back.

The handlers of listing operations call it. A token says which listing it belongs to, and one of another kind, cut
short or edited is refused. It is no secret and no permission: whoever holds it may read what is in it.
"""

import base64
import binascii
import hashlib
from typing import Any

import orjson

from tocsin.model.errors import AwsError, Validation

# Eight bytes: an edited token passes once in 2**64, and the token stays short.
checksum_bytes = 8
# AWS's models allow tokens of 2,048 to 8,192 characters; the longest position is a log stream's name, 512 characters
# of up to four bytes.
token_chars_max = 4096

Position = list[Any] | dict[str, Any]

INVALID = "The specified nextToken is invalid."


def encode(kind: str, position: Position) -> str:
    """A token for `position` in the listing `kind` (the operation's name, say). Raises ValueError when too long."""
    body = orjson.dumps(position)
    token = base64.urlsafe_b64encode(_checksum(kind, body) + body).decode("ascii").rstrip("=")
    if len(token) > token_chars_max:
        raise ValueError(f"a position of {len(body)} bytes makes a token over {token_chars_max} characters")
    return token


def decode(kind: str, token: str, message: str = INVALID, error: type[AwsError] = Validation) -> Position:
    """The position a token of the same `kind` was made for. Raises `error` (ValidationException) with `message`."""
    try:
        raw = base64.b64decode(_padded(token), altchars=b"-_", validate=True)
        checksum, body = raw[:checksum_bytes], raw[checksum_bytes:]
        position = orjson.loads(body)
    except (binascii.Error, ValueError) as refused:
        raise error(message) from refused
    if len(token) > token_chars_max or checksum != _checksum(kind, body):
        raise error(message)
    if encode(kind, position) != token:  # base64's unused last bits: one position, one token
        raise error(message)
    return position  # type: ignore[no-any-return]


def _padded(token: str) -> str:
    return token + "=" * (-len(token) % 4)


def _checksum(kind: str, body: bytes) -> bytes:
    return hashlib.blake2b(body, key=kind.encode()[:64], digest_size=checksum_bytes).digest()
