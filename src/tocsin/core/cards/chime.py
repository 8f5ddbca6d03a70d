"""A card as a message for an Amazon Chime webhook: one text in Markdown, of 4,096 characters at most (AWS, Chime)."""

import re

from tocsin.core.cards.card import Card, Fact, Tone
from tocsin.core.cards.cutting import fitted, listed, same

CONTENT_CHARS = 4096
MARKDOWN = "/md "

MARKS = {Tone.GOOD: "✅", Tone.INFO: "🔵", Tone.WARNING: "⚠️", Tone.BAD: "🔴"}
MARKUP = re.compile(r"([\\`*_~#])")


def escaped(text: str) -> str:
    """What Markdown would read as markup, taken as it is. Everybody in the room is mentioned by @: not by us."""
    return MARKUP.sub(r"\\\1", text).replace("@", "@\u200b")


def chime(card: Card) -> dict[str, str]:
    """The body of a post to the webhook."""
    title = f"**{fitted(card.title, 150, escaped)}**" if card.title.strip() else ""
    text = f"{MARKS[card.tone]} {title}\n\n{markdown(card)}"
    return {"Content": MARKDOWN + fitted(text, CONTENT_CHARS - len(MARKDOWN), same)}


def markdown(card: Card) -> str:
    """All of the card but its title."""
    parts = [
        fitted(card.text, 1000, escaped),
        fitted(card.markdown, 1000),
        "\n".join(_fact(fact) for fact in card.facts[:10]),
        listed(card.lines, "- ", 800, escaped),
        _fenced(card.code, 800),
        listed(card.steps, "- ", 600),
        _fenced(card.command, 300),
        *(f"[{fitted(link.text, 50, escaped)}]({link.url})" for link in card.links[:5] if len(link.url) <= 300),
        fitted(card.footer, 200, escaped),
    ]
    return "\n\n".join(part for part in parts if part.strip())


def _fact(fact: Fact) -> str:
    return f"**{fitted(fact.name, 50, escaped)}**: {fitted(fact.text, 200, escaped)}"


def _fenced(text: str, chars_max: int) -> str:
    return f"```\n{fitted(text.replace('```', chr(39) * 3), chars_max)}\n```" if text.strip() else ""
