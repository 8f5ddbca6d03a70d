"""A card: what a chat shows of a message, in words of no vendor. Readers make it, renderers draw it.

Texts are plain and of any length: renderers escape and cut them as their vendor wants. Only `markdown` is the
author's own markup in the dialect of the chat it goes to.
"""

from enum import StrEnum

from msgspec import Struct


class Tone(StrEnum):
    """How bad it is; each vendor has a colour for it."""

    GOOD = "good"
    INFO = "info"
    WARNING = "warning"
    BAD = "bad"


class Fact(Struct, frozen=True):
    name: str
    text: str


class Link(Struct, frozen=True):
    """A button that opens an address."""

    text: str
    url: str


class Suspect(Struct, frozen=True, kw_only=True):
    """A node that a message says is not well: whom the investigation command would look at."""

    account: str
    region: str
    cluster_id: str
    instance_id: str


class Card(Struct, frozen=True, kw_only=True):
    """`summary` is what a notification shows of it; `lines` are items of a list; `steps` are what to do next.

    `code` is shown as it is, `command` is there to be copied into a terminal. `thread` names what belongs together;
    `ends` says that this message closes it. `suspect` is not drawn: who sends the card makes a button of it.
    """

    tone: Tone
    title: str
    summary: str = ""
    text: str = ""
    markdown: str = ""
    facts: tuple[Fact, ...] = ()
    lines: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    code: str = ""
    command: str = ""
    links: tuple[Link, ...] = ()
    footer: str = ""
    thread: str = ""
    ends: bool = False
    suspect: Suspect | None = None


def facts(*pairs: tuple[str, object]) -> tuple[Fact, ...]:
    """Facts of what is there: empty ones are left out."""
    return tuple(Fact(name, str(value)) for name, value in pairs if value not in (None, "", [], {}))
