"""A card as Slack's Block Kit: one attachment, whose bar has the colour, with blocks in it.

Limits are Slack's own (its reference of blocks, of composition objects, and of attachments); a law in the tests says
that no card gets beyond them.
"""

import re
from typing import Any

from tocsin.core.cards.card import Card, Fact, Tone
from tocsin.core.cards.cutting import fitted, listed

HEADER_CHARS = 150
SECTION_CHARS = 3000
FIELD_CHARS = 2000
FIELDS = 10
BUTTON_CHARS = 75
URL_CHARS = 3000
BUTTONS = 25
FALLBACK_CHARS = 300

COLOURS = {Tone.GOOD: "#2eb67d", Tone.INFO: "#3f7ad6", Tone.WARNING: "#ecb22e", Tone.BAD: "#e01e5a"}
# The only markup that authors may use with angle brackets: a link. Mentions of everybody are none.
LINK = re.compile(r"<(https?://[^\s<>|]+)(?:\|([^<>|]*))?>")
FENCE = "```"

Block = dict[str, Any]


def escaped(text: str) -> str:
    """The three characters that Slack reads as markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def linked(text: str) -> str:
    """Escaped but for links."""
    parts, at = [], 0
    for link in LINK.finditer(text):
        label = "" if link[2] is None else f"|{escaped(link[2])}"
        parts += [escaped(text[at : link.start()]), f"<{escaped(link[1])}{label}>"]
        at = link.end()
    return "".join(parts) + escaped(text[at:])


def slack(card: Card) -> dict[str, Any]:
    """The body of a post to an incoming webhook; with a channel added, of chat.postMessage."""
    fallback = fitted(card.summary or card.title or card.markdown or card.text, FALLBACK_CHARS, escaped)
    return {"attachments": [{"color": COLOURS[card.tone], "fallback": fallback or "-", "blocks": _blocks(card)}]}


def _blocks(card: Card) -> list[Block]:
    blocks = [
        *_header(card.title),
        *_section(fitted(card.summary, SECTION_CHARS, escaped) if card.summary != card.title else ""),
        *_section(fitted(card.text, SECTION_CHARS, escaped)),
        *_section(fitted(card.markdown, SECTION_CHARS, linked)),
        *_fields(card.facts),
        *_section(listed(card.lines, "• ", SECTION_CHARS, escaped)),
        *_fenced("", card.code),
        *_section(_titled("*Next steps*\n", listed(card.steps, "• ", SECTION_CHARS - 20, linked))),
        *_fenced("*To look into it*\n", card.command),
        *_buttons(card),
        *_context(" · ".join(filter(None, (" ".join(f"`{word}`" for word in card.keywords), card.footer)))),
    ]
    return blocks or _section("-")


def _header(title: str) -> list[Block]:
    if not title.strip():
        return []
    return [
        {"type": "header", "text": {"type": "plain_text", "text": fitted(title, HEADER_CHARS, escaped), "emoji": True}}
    ]


def _section(text: str) -> list[Block]:
    return [{"type": "section", "text": _markup(text)}] if text.strip() else []


def _markup(text: str) -> dict[str, str]:
    return {"type": "mrkdwn", "text": text}


def _titled(title: str, text: str) -> str:
    return title + text if text else ""


def _fields(facts: tuple[Fact, ...]) -> list[Block]:
    fields = [_markup(f"*{fitted(fact.name, 100, escaped)}*\n{fitted(fact.text, 500, escaped)}") for fact in facts]
    return [{"type": "section", "fields": fields[:FIELDS]}] if fields else []


def _fenced(title: str, code: str) -> list[Block]:
    """As it is. A fence inside would end the block."""
    room = SECTION_CHARS - len(title) - 2 * len(FENCE)
    return _section(title + FENCE + fitted(code.replace(FENCE, "'''"), room, escaped) + FENCE) if code.strip() else []


def _buttons(card: Card) -> list[Block]:
    buttons = [
        {
            "type": "button",
            "text": {"type": "plain_text", "text": fitted(link.text, BUTTON_CHARS, escaped), "emoji": True},
            "url": link.url,
            "action_id": f"open-{place}",
        }
        for place, link in enumerate(card.links)
        if link.text.strip() and len(link.url) <= URL_CHARS
    ]
    return [{"type": "actions", "elements": buttons[:BUTTONS]}] if buttons else []


def _context(text: str) -> list[Block]:
    return [{"type": "context", "elements": [_markup(fitted(text, FIELD_CHARS, escaped))]}] if text.strip() else []
