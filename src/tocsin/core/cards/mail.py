"""A card as the HTML part of a mail: one column, styles in the elements, nothing fetched from anywhere.

Mail programs strip style sheets and block pictures; what they all show is text in tables with colours.
"""

from html import escape

from tocsin.core.cards.card import Card, Tone
from tocsin.core.cards.content import whole

COLOURS = {Tone.GOOD: "#1d8102", Tone.INFO: "#0972d3", Tone.WARNING: "#8a6116", Tone.BAD: "#d91515"}
FONT = "font-family:Arial,Helvetica,sans-serif;font-size:15px;line-height:1.5;color:#16191f"
CODE = "font-family:Menlo,Consolas,monospace;font-size:13px;background:#f2f3f3;padding:10px;white-space:pre-wrap"
# A mail is read whole; what is longer is in the plain part.
TEXT_CHARS_MAX = 20_000


def html(card: Card, footer: str) -> str:
    """The document. `footer` is HTML already."""
    colour = COLOURS[card.tone]
    return (
        '<!doctype html><html><head><meta charset="utf-8"></head>'
        f'<body style="margin:0;padding:16px;background:#ffffff;{FONT}">'
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="max-width:640px"><tr>'
        f'<td style="border-left:6px solid {colour};padding:4px 16px;{FONT}">'
        f'<h1 style="font-size:19px;margin:0 0 12px;color:{colour}">{_text(card.title)}</h1>'
        f"{''.join(part for part in _parts(card) if part)}"
        f'</td></tr></table><p style="font-size:12px;color:#5f6b7a">{footer}</p></body></html>'
    )


def _parts(card: Card) -> list[str]:
    return [
        _facts(card),
        f"<p>{_text(card.text or card.markdown)}</p>" if card.text or card.markdown else "",
        _list("Instance groups", card.lines),
        _list("What happens next", card.steps),
        f'<pre style="{CODE}">{_text(card.code)}</pre>' if card.code else "",
        f'<p>To look closer:</p><pre style="{CODE}">{_text(card.command)}</pre>' if card.command else "",
        "".join(f'<p><a href="{escape(link.url)}">{_text(link.text)}</a></p>' for link in card.links),
        f'<p style="font-size:12px;color:#5f6b7a">{_text(card.footer)}</p>' if card.footer else "",
    ]


def _facts(card: Card) -> str:
    rows = (
        f'<tr><td style="padding:2px 16px 2px 0;color:#5f6b7a;{FONT}">{_text(fact.name)}</td>'
        f'<td style="padding:2px 0;{FONT}">{_text(fact.text)}</td></tr>'
        for fact in card.facts
    )
    table = "".join(rows)
    return f'<table role="presentation" cellpadding="0" cellspacing="0">{table}</table>' if table else ""


def _list(title: str, items: tuple[str, ...]) -> str:
    points = "".join(f"<li>{_text(item)}</li>" for item in items)
    return f'<p style="margin-bottom:4px"><b>{title}</b></p><ul style="margin-top:0">{points}</ul>' if points else ""


def _text(text: str) -> str:
    return escape(whole(text[:TEXT_CHARS_MAX])).replace("\n", "<br>")
