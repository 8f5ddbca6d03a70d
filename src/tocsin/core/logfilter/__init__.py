"""The filter patterns of CloudWatch Logs: a text becomes a Filter once, the Filter judges many messages.

The logs door's search calls it. Three languages share one entry: words (`ERROR -debug`), fields of JSON messages
(`{ $.status = 5* }`), and regular expressions in either (`%5\\d\\d%`). No I/O, no state.
"""

from collections.abc import Callable

from msgspec import Struct

from tocsin.core.logfilter.fields import parse_fields
from tocsin.core.logfilter.words import parse_words
from tocsin.model.errors import InvalidParameter


class Filter(Struct, frozen=True):
    """A parsed pattern."""

    text: str
    judge: Callable[[str], bool]


def parse(text: str) -> Filter:
    """The filter a pattern stands for; an empty one accepts everything.

    Raises InvalidParameter: `Invalid filter pattern`, or AWS's nearer word where it has one. Source: the AWS page
    "Filter pattern syntax for metric filters, subscription filters, filter log events, and Live Tail".
    """
    pattern = text.strip()
    if pattern.startswith("{"):
        if not pattern.endswith("}") or len(pattern) < 2:
            raise InvalidParameter("If a filter pattern starts with '{' it must end with '}'")
        return Filter(text, parse_fields(pattern[1:-1]))
    if pattern.startswith("["):
        raise InvalidParameter(
            "Invalid filter pattern: space-delimited patterns ([ip, user, ...]) are not supported yet; "
            "use terms, a regular expression in %...%, or a JSON pattern in {...}"
        )
    return Filter(text, parse_words(pattern))


def accepts(wanted: Filter, message: str) -> bool:
    """Whether the message is one the pattern asks for."""
    return wanted.judge(message)
