"""Receipt handles: which message of which queue, and which of its receives. Opaque to clients, checked on return."""

import base64
import binascii
import hashlib

from msgspec import Struct

from tocsin.model.queue_errors import ReceiptHandleIsInvalid

CHECKSUM_BYTES = 8
VERSION = "1"
HANDLE_CHARS_LONGEST = 1024  # ours have some 130; AWS's about 400


class Handle(Struct, frozen=True):
    queue_id: str
    sequence: int
    receives: int


def handle_text(handle: Handle) -> str:
    body = f"{VERSION}/{handle.queue_id}/{handle.sequence}/{handle.receives}".encode()
    return base64.urlsafe_b64encode(_checksum(body) + body).decode()


def read_handle(text: str) -> Handle:
    """Raises ReceiptHandleIsInvalid for what never was a handle of ours."""
    try:
        if len(text) > HANDLE_CHARS_LONGEST:
            raise ValueError("too long")
        raw = base64.b64decode(text, altchars=b"-_", validate=True)
        body = raw[CHECKSUM_BYTES:]
        if raw[:CHECKSUM_BYTES] != _checksum(body):
            raise ValueError("another checksum")
        version, queue_id, sequence, receives = body.decode().split("/")
        if version != VERSION:
            raise ValueError("another version")
        return Handle(queue_id, int(sequence), int(receives))
    except (binascii.Error, ValueError) as wrong:
        raise not_a_handle(text) from wrong


def not_a_handle(text: str) -> ReceiptHandleIsInvalid:
    return ReceiptHandleIsInvalid(f'The input receipt handle "{text[:HANDLE_CHARS_LONGEST]}" is not valid.')


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2b(body, key=b"receipt", digest_size=CHECKSUM_BYTES).digest()
