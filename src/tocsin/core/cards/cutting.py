"""Cutting texts to what a vendor takes: never inside an escape, and always so that one sees that something is gone."""

from collections.abc import Callable, Iterable

from tocsin.core.cards.content import whole as repaired

CUT = "…"
# Of a text that is looked at before it is escaped: no vendor shows more, and a topic's message may be 256 KB.
LOOKED_AT_CHARS_MAX = 12_000


def same(text: str) -> str:
    return text


def fitted(text: str, chars_max: int, escape: Callable[[str], str] = same) -> str:
    """The escaped text in at most so many characters. Its last one is an ellipsis where some are gone.

    Escaping is per character, so what is cut is found by halving: no escape is ever torn.
    """
    assert chars_max >= 1, "there is no room even for an ellipsis"
    text = repaired(text)
    whole = escape(text[:LOOKED_AT_CHARS_MAX])
    if len(whole) <= chars_max and len(text) <= LOOKED_AT_CHARS_MAX:
        return whole
    low, high = 0, min(len(text), LOOKED_AT_CHARS_MAX)
    while low < high:
        middle = (low + high + 1) // 2
        if len(escape(text[:middle])) + len(CUT) <= chars_max:
            low = middle
        else:
            high = middle - 1
    return escape(text[:low]) + CUT


def listed(items: Iterable[str], bullet: str, chars_max: int, escape: Callable[[str], str] = same) -> str:
    """Items one a line. Those without room are counted in a last line."""
    every, used = list(items), 0
    shown: list[str] = []
    for place, item in enumerate(every):
        line = bullet + fitted(item, min(300, chars_max // 2), escape)
        left = len(every) - place - 1
        room = chars_max - (len(_more(left)) + 1 if left else 0)
        if used + len(line) + (1 if shown else 0) > room:
            shown.append(_more(len(every) - place))
            break
        used += len(line) + (1 if shown else 0)
        shown.append(line)
    return "\n".join(shown)


def _more(count: int) -> str:
    return f"{CUT} and {count} more"
