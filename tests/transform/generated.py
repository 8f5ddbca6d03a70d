"""Events and shapings for the laws: any JSON at all in the detail, and any target that `shaping` takes."""

import json
from typing import Any

from hypothesis import strategies as st

KEYS = st.sampled_from(["a", "b", "c-d", "e_f", "", "g h", "detail", 'q"', "é", "\\"])
NAMES = ["x", "y", "z-1"]
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.sampled_from(['"', "\\", '\\"', "a\nb", "<x>", "\u2028", "\x00"])
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Envelopes as one line of JSON, escaped or not."""
    envelope = {"id": "1", "detail-type": draw(scalars), "source": "s", "resources": [], "detail": draw(values)}
    return json.dumps(envelope, ensure_ascii=draw(st.booleans()), separators=(",", ":")).encode()


steps = st.sampled_from([".a", ".b", ".c-d", ".e_f", ".detail", ".é", "[0]", "[1]", ".*", "[*]", ".id"])
paths = st.lists(steps, max_size=4).map(lambda chosen: "$" + "".join(chosen))
path_maps = st.fixed_dictionaries(dict.fromkeys(NAMES, paths))

slots = st.sampled_from(
    [f"<{name}>" for name in [*NAMES, "aws.events.rule-arn", "aws.events.event", "aws.events.event.ingestion-time"]]
)
words = st.sampled_from(["a", " ", "  b", r"\"", r"\\", r"\n", "{", "]", "é", ":", ","])
strings = st.lists(words | slots, max_size=5).map(lambda parts: f'"{"".join(parts)}"')
bare = slots | st.just("<aws.events.event.json>")


def _object(members: list[str]) -> str:
    return "{" + ", ".join(f'"k{number}" : {member}' for number, member in enumerate(members)) + "}"


_inner = st.recursive(
    strings | bare | st.sampled_from(["1", "true", "null"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[ " + " ,\n".join(items) + "]")
        | st.lists(inner, max_size=3).map(_object)
    ),
    max_leaves=5,
)


json_templates = st.lists(_inner, max_size=4).map(_object)
text_templates = st.lists(strings | slots, min_size=1, max_size=3).map("\n".join)


def transformer(template: str, chosen: dict[str, str]) -> dict[str, Any]:
    return {"Id": "t", "InputTransformer": {"InputPathsMap": chosen, "InputTemplate": template}}


targets = (
    st.builds(transformer, json_templates | text_templates, path_maps)
    | paths.map(lambda path: {"Id": "t", "InputPath": path})
    | values.map(lambda value: {"Id": "t", "Input": json.dumps(value)})
)
