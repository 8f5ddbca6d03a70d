"""Many messages as one card: what came to a channel faster than it is posted to. The worst come first, for a chat shows
so much and counts the rest."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from tocsin.core.cards.card import Card, Tone, facts
from tocsin.model.chat import HeldPost
from tocsin.model.times import iso_second

LINE_CHARS_MAX = 150
# From the worst.
KINDS = {Tone.BAD: "Failures", Tone.WARNING: "Warnings", Tone.GOOD: "Well again", Tone.INFO: "Others"}
SEVERITY = list(KINDS)


def in_a_line(card: Card) -> str:
    """A card as a digest lists it."""
    said = ": ".join(filter(None, (card.title, card.text or card.summary or card.markdown)))
    words = " ".join(said.split())
    return words if len(words) <= LINE_CHARS_MAX else f"{words[: LINE_CHARS_MAX - 1]}…"


def digest(held: Sequence[HeldPost], more: int) -> Card:
    """One card for all of `held`; `more` are left for the next."""
    assert held, "a digest tells of something"
    counts = Counter(one.tone for one in held)
    ordered = sorted(held, key=lambda one: (SEVERITY.index(Tone(one.tone)), one.place))
    return Card(
        tone=next(tone for tone in SEVERITY if counts[tone]),
        title=f"{len(held)} more messages",
        text="They came faster than this channel is posted to one by one." + (f" {more} more follow." if more else ""),
        facts=facts(*((name, counts[tone] or "") for tone, name in KINDS.items())),
        lines=tuple(f"{_at(one.at_ms):%H:%M:%S}Z  {one.line}" for one in ordered),
        command=f"tocsin events --since {iso_second(_at(min(one.at_ms for one in held)))}",
    )


def _at(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
