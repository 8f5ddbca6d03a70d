"""The event pattern language: a pattern's text becomes alternatives of fields, a field asks conditions of values.

Doors and services call `parse`, `matches` and `load_event`; `core/matcher` builds its index on `Pattern`. The law is
written down in docs/patterns.md. Must not know rules, buses or targets.
"""

from .explain import AlternativeVerdict, Explanation, FieldVerdict, explain
from .lint import Note, Report, lint
from .matching import matches
from .numbers import ExactNumber, load_event
from .reader import Field, Pattern, parse
from .wording import lines, sentence

__all__ = [
    "AlternativeVerdict",
    "ExactNumber",
    "Explanation",
    "Field",
    "FieldVerdict",
    "Note",
    "Pattern",
    "Report",
    "explain",
    "lines",
    "lint",
    "load_event",
    "matches",
    "parse",
    "sentence",
]
