"""A card as an Adaptive Card for Microsoft Teams, in the envelope that a Workflows webhook takes.

Teams refuses a message over 28 KB (its documentation of webhooks): the parts of a card are cut so that their sum
stays below, whatever the characters. Version 1.4 is what all of its clients draw; 1.5 draws it too.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from tocsin.core.cards.card import Card, Fact, Tone
from tocsin.core.cards.cutting import fitted, listed, same

SCHEMA = "http://adaptivecards.io/schemas/adaptive-card.json"
VERSION = "1.4"
CONTENT_TYPE = "application/vnd.microsoft.card.adaptive"
MESSAGE_BYTES = 28_000

# The sum of these is below 9,000. With few characters beyond ASCII that fits; else half of each does, at four bytes.
TITLE_CHARS = 150
TEXT_CHARS = 1200
CODE_CHARS = 1000
LIST_CHARS = 1000
FACT_CHARS = 150
NAME_CHARS = 50
FACTS = 10
URL_CHARS = 1000
BUTTONS = 2  # of six that Teams shows: addresses are long

STYLES = {Tone.GOOD: "good", Tone.INFO: "accent", Tone.WARNING: "warning", Tone.BAD: "attention"}
MARKUP = re.compile(r"([\\`*_{}\[\]<>~#|])")

Element = dict[str, Any]


def escaped(text: str) -> str:
    """What a TextBlock and a fact would read as Markdown, taken as it is."""
    return MARKUP.sub(r"\\\1", text)


def teams(card: Card) -> dict[str, Any]:
    """The body of a post to a Workflows webhook."""
    message = Drawing(1).message(card)
    if len(json.dumps(message, ensure_ascii=False).encode()) <= MESSAGE_BYTES:
        return message
    return Drawing(2).message(card)


class Drawing:
    """Draws with limits divided by `share`."""

    def __init__(self, share: int) -> None:
        self._share = share

    def message(self, card: Card) -> dict[str, Any]:
        content = {
            "$schema": SCHEMA,
            "type": "AdaptiveCard",
            "version": VERSION,
            "fallbackText": self._fitted(card.summary or card.title or card.text, TITLE_CHARS) or "-",
            "msteams": {"width": "Full"},
            "body": self._body(card),
            "actions": self._actions(card),
        }
        attachment = {"contentType": CONTENT_TYPE, "contentUrl": None, "content": content}
        return {"type": "message", "attachments": [attachment]}

    def _fitted(self, text: str, chars_max: int, escape: Callable[[str], str] = same) -> str:
        return fitted(text, chars_max // self._share, escape)

    def _body(self, card: Card) -> list[Element]:
        return [
            *self._banner(card),
            *self._plain(card.summary if card.summary != card.title else "", TITLE_CHARS),
            *self._plain(card.text, TEXT_CHARS),
            *_markup(self._fitted(card.markdown, TEXT_CHARS)),
            *self._facts(card.facts),
            *_markup(listed(card.lines, "- ", LIST_CHARS // self._share, escaped)),
            *self._code(card.code, CODE_CHARS),
            *_titled("Next steps", _markup(listed(card.steps, "- ", LIST_CHARS // self._share))),
            *_titled("To look into it", self._code(card.command, TITLE_CHARS * 2)),
            *self._subtle(" · ".join(filter(None, (*card.keywords, card.footer)))),
        ]

    def _banner(self, card: Card) -> list[Element]:
        title = self._fitted(card.title, TITLE_CHARS, escaped) if card.title.strip() else card.tone
        text = {"type": "TextBlock", "text": title, "weight": "Bolder", "size": "Medium", "wrap": True}
        return [{"type": "Container", "style": STYLES[card.tone], "bleed": True, "items": [text]}]

    def _plain(self, text: str, chars_max: int, **run: Any) -> list[Element]:
        """Runs of text are never read as Markdown."""
        if not text.strip():
            return []
        inline = {"type": "TextRun", "text": self._fitted(text, chars_max), **run}
        return [{"type": "RichTextBlock", "inlines": [inline]}]

    def _code(self, text: str, chars_max: int) -> list[Element]:
        return self._plain(text, chars_max, fontType="Monospace")

    def _facts(self, facts: tuple[Fact, ...]) -> list[Element]:
        shown = [
            {
                "title": self._fitted(fact.name, NAME_CHARS, escaped) or "-",
                "value": self._fitted(fact.text, FACT_CHARS, escaped) or "-",
            }
            for fact in facts[:FACTS]
        ]
        return [{"type": "FactSet", "facts": shown}] if shown else []

    def _subtle(self, text: str) -> list[Element]:
        return self._plain(text, TITLE_CHARS * 2, isSubtle=True, size="Small")

    def _actions(self, card: Card) -> list[Element]:
        return [
            {"type": "Action.OpenUrl", "title": self._fitted(link.text, NAME_CHARS) or "Open", "url": link.url}
            for link in card.links[:BUTTONS]
            if len(link.url) <= URL_CHARS
        ]


def _markup(text: str) -> list[Element]:
    return [{"type": "TextBlock", "text": text, "wrap": True}] if text.strip() else []


def _titled(title: str, elements: list[Element]) -> list[Element]:
    return [{"type": "TextBlock", "text": title, "weight": "Bolder", "wrap": True}, *elements] if elements else []
