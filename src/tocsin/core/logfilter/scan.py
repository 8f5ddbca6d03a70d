"""Reading a pattern from left to right, as both languages need it: quoted texts, regular expressions, complaints."""

from tocsin.model.errors import InvalidParameter

# "2 regex for each filter pattern when ... filtering log events" (AWS, Supported regular expressions syntax).
REGEX_MAX = 2


def invalid(detail: str) -> InvalidParameter:
    return InvalidParameter(f"Invalid filter pattern: {detail}")


def invalid_term(part: str) -> InvalidParameter:
    """In AWS's words."""
    return InvalidParameter(f"Invalid character(s) in term '{part}'")


def quoted(text: str, start: int) -> tuple[str, int]:
    """The text of the quotation that opens at `start`, and where it ends. Only `\\"` and `\\\\` are escapes."""
    found: list[str] = []
    mark, at = text[start], start + 1
    while at < len(text):
        char = text[at]
        if char == mark:
            return "".join(found), at + 1
        if char == "\\" and text[at + 1 : at + 2] in (mark, "\\"):
            at += 1
            char = text[at]
        found.append(char)
        at += 1
    raise invalid("a quotation mark is not closed")


def regex_between(text: str, start: int) -> tuple[str, int]:
    """The expression of the `%...%` that opens at `start`, and where it ends. It cannot hold a % itself."""
    end = text.find("%", start + 1)
    if end < 0:
        raise invalid("a regular expression must end with %")
    return text[start + 1 : end], end + 1
