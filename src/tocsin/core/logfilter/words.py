"""Patterns of words for messages of any shape: all of `a b`, one of `?a ?b`, none of `-a`.

`?` words count only among themselves: beside required or excluded ones AWS ignores them, and so do we.
"""

from collections.abc import Callable

from msgspec import Struct

from tocsin.core.logfilter.regex import compile_regex
from tocsin.core.logfilter.scan import REGEX_MAX, invalid, invalid_term, quoted, regex_between

Judge = Callable[[str], bool]


class Word(Struct, frozen=True):
    """`role` is "" (required), "?" (optional) or "-" (excluded)."""

    role: str
    judge: Judge
    regex: bool = False


def parse_words(pattern: str) -> Judge:
    """The judge of a pattern without its outer spaces. Raises InvalidParameter."""
    words: list[Word] = []
    at = 0
    while at < len(pattern):
        if pattern[at].isspace():
            at += 1
            continue
        word, at = _word(pattern, at)
        words.append(word)
    if sum(word.regex for word in words) > REGEX_MAX:
        raise invalid(f"at most {REGEX_MAX} regular expressions in one pattern")
    return _judge_of(words)


def _word(pattern: str, at: int) -> tuple[Word, int]:
    role = pattern[at] if pattern[at] in "?-" else ""
    at += len(role)
    # "ERROR - Exiting" and "ERROR -Exiting" are one pattern in AWS's examples.
    while role and at < len(pattern) and pattern[at].isspace():
        at += 1
    if at == len(pattern):
        raise invalid_term(role)
    if pattern[at] == '"':
        text, end = quoted(pattern, at)
        if not text:
            raise invalid_term('""')
        return Word(role, _contains(text)), end
    if pattern[at] == "%":
        source, end = regex_between(pattern, at)
        return Word(role, compile_regex(source), regex=True), end
    end = at
    while end < len(pattern) and (pattern[end].isalnum() or pattern[end] == "_"):
        end += 1
    if end == at or (end < len(pattern) and not pattern[end].isspace()):
        raise invalid_term(pattern[end])
    return Word(role, _contains(pattern[at:end])), end


def _contains(text: str) -> Judge:
    return lambda message: text in message


def _judge_of(words: list[Word]) -> Judge:
    required = [word.judge for word in words if word.role == ""]
    excluded = [word.judge for word in words if word.role == "-"]
    optional = [word.judge for word in words if word.role == "?"]
    if optional and not required and not excluded:
        return lambda message: any(judge(message) for judge in optional)
    if len(required) == 1 and not excluded:
        return required[0]
    return lambda message: all(judge(message) for judge in required) and not any(judge(message) for judge in excluded)
