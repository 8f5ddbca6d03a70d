"""Tickets: what the link behind a card's button entitles to, sealed so that nobody else can make one.

A ticket is for one node and one occasion, and ends. services/investigations.py makes and takes them.
"""

import base64
import binascii
import hashlib
import hmac

import msgspec
from msgspec import Struct

from tocsin.model.names import Scope

# A longer text is no ticket of ours, and is not looked at.
TICKET_CHARS_MAX = 1_000


class Ticket(Struct, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True):
    """Run the investigation command on this node, once. `occasion` names the message that the button stood in."""

    account: str
    region: str
    cluster_id: str
    instance_id: str
    occasion: str
    expires_ms: int

    @property
    def scope(self) -> Scope:
        return Scope(self.account, self.region)

    @property
    def key(self) -> str:
        """The ticket's name among those of its scope."""
        told = (self.cluster_id, self.instance_id, self.occasion, self.expires_ms)
        return hashlib.sha256(msgspec.json.encode(told)).hexdigest()


def key_of(secret: bytes) -> bytes:
    """The key that seals, from the server's secret. Agents' tokens are made of the same for ids of instances, and no
    instance is called so."""
    return hmac.new(secret, b"tickets of investigations", hashlib.sha256).digest()


def sealed(ticket: Ticket, key: bytes) -> str:
    """As it stands in a link."""
    told = msgspec.json.encode(ticket)
    return f"{_text(told)}.{_text(_seal(told, key))}"


def opened(text: str, key: bytes) -> Ticket | None:
    """None for what was not sealed with this key, whole as it is. Whether it has expired is for the reader to say."""
    told_text, dot, seal_text = text.partition(".")
    if not dot or len(text) > TICKET_CHARS_MAX:
        return None
    try:
        told, seal = _bytes(told_text), _bytes(seal_text)
        return msgspec.json.decode(told, type=Ticket) if hmac.compare_digest(seal, _seal(told, key)) else None
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        return None


def _seal(told: bytes, key: bytes) -> bytes:
    return hmac.new(key, told, hashlib.sha256).digest()


def _text(told: bytes) -> str:
    return base64.urlsafe_b64encode(told).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
