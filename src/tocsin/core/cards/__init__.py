"""Cards: what chats show of published messages. Reading makes a card of a text, drawing makes a vendor's body of it."""

from tocsin.core.cards.card import Card, Link, Suspect, Tone
from tocsin.core.cards.chime import chime, markdown
from tocsin.core.cards.digest import digest, in_a_line
from tocsin.core.cards.mail import html
from tocsin.core.cards.reading import Hints, read_card
from tocsin.core.cards.slack import slack
from tocsin.core.cards.teams import teams

__all__ = [
    "Card",
    "Hints",
    "Link",
    "Suspect",
    "Tone",
    "chime",
    "digest",
    "html",
    "in_a_line",
    "markdown",
    "read_card",
    "slack",
    "teams",
]
