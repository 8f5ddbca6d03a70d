"""What a pattern may cost. Every bound of the language has its name, its unit and its reason here.

`parse` applies them; the console and the documentation quote them.
"""

from typing import Final

pattern_chars_max: Final = 4096
"""The API model's own maximum for EventPattern; AWS starts accounts at 2,048 and raises to this."""

nesting_levels_max: Final = 500
"""Levels of objects and `$or` arrays. AWS states none; each costs a frame of Python's stack, which has a thousand."""

combinations_max: Final = 1000
"""Flat alternatives after `$or` is multiplied out: AWS refuses more."""

wildcard_complexity_max: Final = 10
"""Prefixes of one field's wildcards that some text can keep alive at once. Recorded on AWS: 9 passes, 11 does not.

AWS publishes neither number nor measure; this one agrees with every recorded answer.
"""

complexity_states_max: Final = 20_000
"""Sets of prefixes looked at before a wildcard counts as too complex without further search."""

assignments_max: Final = 10_000
"""Choices of array elements kept while matching one pattern, so that no event can make the matcher multiply forever.

Reached only by dotted keys that lay several arrays over the same path; choices beyond it are not tried.
"""

notes_max: Final = 100
"""Notes told of one pattern by `lint`."""
