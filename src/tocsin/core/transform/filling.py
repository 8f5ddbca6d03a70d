"""Event -> payload. Called for every delivery to a target with a shaping; never raises, whatever the event holds."""

import msgspec

from .paths import Reading
from .spec import Constant, Filled, Part, Shaping
from .template import Slot
from .values import MISSING, PREDEFINED, About, in_quotes

_NOTHING = b"null"
_ANY_JSON = msgspec.json.Decoder(msgspec.Raw)


def shape(shaping: Shaping, body: bytes, about: About) -> bytes:
    """The payload. `body` is the event's envelope as one line of JSON without blanks, as the bus holds it."""
    match shaping:
        case Constant(payload):
            return payload
        case Part(path):
            return Reading(body).text(path) or _NOTHING
        case Filled():
            return _fill(shaping, Reading(body), about)


def sendable(shaping: Shaping, payload: bytes) -> bool:
    """Whether a payload may go out. A JSON template that came out as no JSON is not delivered (recorded on AWS)."""
    if not isinstance(shaping, Filled) or not shaping.template.is_json:
        return True
    try:
        _ANY_JSON.decode(payload)
    except (ValueError, RecursionError):
        return False
    return True


def _fill(filled: Filled, event: Reading, about: About) -> bytes:
    is_json = filled.template.is_json
    values: dict[str, bytes] = {}
    parts: list[bytes] = []
    for piece in filled.template.pieces:
        if not isinstance(piece, Slot):
            parts.append(piece)
            continue
        if piece.name not in values:
            values[piece.name] = _value(filled, piece.name, event, about)
        value = values[piece.name]
        parts.append(in_quotes(value, is_json=is_json) if piece.quoted else value)
    return b"".join(parts)


def _value(filled: Filled, name: str, event: Reading, about: About) -> bytes:
    """The JSON text a name stands for."""
    if name in filled.paths:
        return event.text(filled.paths[name]) or MISSING
    return PREDEFINED[name](event, about)
