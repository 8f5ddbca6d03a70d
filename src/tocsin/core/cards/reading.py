"""A published message -> the card that shows it. Renderers draw the card for their vendor."""

import json
from collections.abc import Callable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from tocsin.core.announce import CLUSTER_EVENT, NODE_HEALTH, STATE_CHANGE
from tocsin.core.cards.card import Card, Link
from tocsin.core.cards.content import Json, text_of
from tocsin.core.cards.hyperpod import INVESTIGATION, cluster_event, cluster_named, node_health, state_change
from tocsin.core.cards.notices import alarm, custom, is_alarm, is_custom, other_event, plain, unknown

OPEN_CONSOLE = "Open in console"
# A message that nests deeper is shown as text: nothing of ours may fall over it.
RECURSION = (RecursionError, ValueError)


class Hints(Struct, frozen=True, kw_only=True):
    """What the message itself does not say. `console_link` is an address with {cluster}, {cluster_id}, {instance},
    {account} and {region} in it, or empty; `previous` is a cluster's status before the event; `document` is what looks
    into a node."""

    topic: str
    subject: str = ""
    previous: str = ""
    console_link: str = ""
    document: str = INVESTIGATION


EVENTS: Mapping[str, Callable[[Json, Hints], Card]] = {
    STATE_CHANGE: lambda event, hints: state_change(event, hints.previous),
    NODE_HEALTH: lambda event, hints: node_health(event, hints.document),
    CLUSTER_EVENT: lambda event, hints: cluster_event(event, hints.document),
}


def read_card(text: str, hints: Hints) -> Card:
    """The card of a message's text. Every text has one."""
    try:
        content = json.loads(text)
    except RECURSION:
        return plain(text, hints.subject, hints.topic)
    try:
        return _of_json(content, hints) if isinstance(content, dict | list) else plain(text, hints.subject, hints.topic)
    except RECURSION:
        return plain(text, hints.subject, hints.topic)


def _of_json(content: Json | list[object], hints: Hints) -> Card:
    if not isinstance(content, Mapping):
        return unknown(content, hints.subject, hints.topic)
    if is_custom(content):
        return custom(content)
    if is_alarm(content):
        return alarm(content)
    kind = text_of(content, "detail-type")
    if not kind or "detail" not in content:
        return unknown(content, hints.subject, hints.topic)
    known = EVENTS.get(kind)
    card = known(content, hints) if known else other_event(content)
    links = _links(content, hints.console_link) if known else ()
    return replace(card, links=links, footer=_footer(content))


def _footer(event: Json) -> str:
    return " · ".join(filter(None, (text_of(event, name) for name in ("account", "region", "time"))))


def _links(event: Json, template: str) -> tuple[Link, ...]:
    if not template:
        return ()
    address = template
    for name, value in cluster_named(event).items():
        address = address.replace(f"{{{name}}}", _quoted(value))
    return (Link(OPEN_CONSOLE, address),)


def _quoted(value: str) -> str:
    """As it may stand in an address: names come from events, which anybody may put."""
    return "".join(char if char.isascii() and (char.isalnum() or char in "-._~") else _percent(char) for char in value)


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "replace"))
