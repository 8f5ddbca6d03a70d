"""What holds of every shaping and every event: nothing raises, JSON comes out as JSON, values arrive as they were."""

import json
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.core.transform import About, Filled, log_line, sendable, shape, shaping
from tocsin.core.transform.paths import Reading, read_path
from tocsin.core.transform.template import Slot
from tocsin.model.errors import Validation

from .generated import bodies, json_templates, path_maps, paths, targets, text_templates, transformer, values

ABOUT = About("arn:aws:events:us-east-1:123456789012:rule/r", "r", "2026-09-01T12:00:00Z")
relaxed = settings(max_examples=150, deadline=None)


@relaxed
@given(targets, bodies() | st.binary(max_size=40) | st.sampled_from([b"[]", b"{}", b"[" * 5000, b'{"detail":' * 3000]))
def test_no_event_makes_a_valid_shaping_raise(target: dict[str, Any], body: bytes) -> None:
    made = shaping(target)

    assert made is not None
    payload = shape(made, body, ABOUT)
    sendable(made, payload)
    log_line(payload, 0)


@relaxed
@given(json_templates, path_maps, bodies())
def test_a_json_template_gives_json_unless_an_object_or_a_list_stands_in_quotes(
    template: str, chosen: dict[str, str], body: bytes
) -> None:
    made = shaping(transformer(template, chosen))
    assert isinstance(made, Filled)
    payload = shape(made, body, ABOUT)

    if not any(isinstance(piece, Slot) and piece.quoted and _is_compound(made, piece, body) for piece in _pieces(made)):
        assert sendable(made, payload)
        json.loads(payload)


def _pieces(filled: Filled) -> tuple[object, ...]:
    return filled.template.pieces


def _is_compound(filled: Filled, slot: Slot, body: bytes) -> bool:
    if slot.name == "aws.events.event":
        return True
    path = filled.paths.get(slot.name)
    text = Reading(body).text(path) if path else None
    return bool(text) and text[:1] in (b"{", b"[")  # type: ignore[index]


@relaxed
@given(text_templates, path_maps, bodies())
def test_a_text_template_gives_as_many_json_values_as_it_has_lines(
    template: str, chosen: dict[str, str], body: bytes
) -> None:
    made = shaping(transformer(template, chosen))
    assert made is not None

    lines = shape(made, body, ABOUT).decode().split("\n")
    assert len(lines) == len(template.split("\n"))
    for line in lines:
        json.loads(line)


@relaxed
@given(values, paths)
def test_a_path_leads_where_walking_the_parsed_event_leads(value: Any, path: str) -> None:
    body = json.dumps({"detail": value, "a": value, "id": "1"}).encode()
    read = read_path(path)
    assert read is not None
    found = _walk([json.loads(body)], list(read.steps))

    text = Reading(body).text(read)
    if read.wild:
        assert json.loads(text or b"null") == found
    else:
        assert ([json.loads(text)] if text is not None else []) == found


def _walk(places: list[Any], steps: list[Any]) -> list[Any]:
    for step in steps:
        places = [found for place in places for found in _inside(place, step)]
    return places


def _inside(place: Any, step: Any) -> list[Any]:
    if isinstance(place, dict):
        return list(place.values()) if step is None else [place[step]] if step in place else []
    if isinstance(place, list):
        if step is None:
            return place
        return [place[step]] if isinstance(step, int) and step < len(place) else []
    return []


@relaxed
@given(st.from_regex(r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?", fullmatch=True))
def test_a_numbers_text_survives_wherever_it_goes(number: str) -> None:
    body = f'{{"detail":{{"n":{number}}}}}'.encode()
    part = shaping({"InputPath": "$.detail.n"})
    filled = shaping(transformer('{"n": <x>, "s": "<x>"}', {"x": "$.detail.n"}))

    assert part is not None
    assert filled is not None
    assert shape(part, body, ABOUT).decode() == number
    assert shape(filled, body, ABOUT).decode() == f'{{"n":{number},"s":"{number}"}}'


@relaxed
@given(st.text(st.sampled_from('<>{}[]":,\\ab1 \n'), max_size=12))
def test_any_template_is_taken_or_refused_in_a_sentence(template: str) -> None:
    with suppress(Validation):
        made = shaping(transformer(template, {"a": "$.id", "b": "$.detail"}))
        assert made is not None
        payload = shape(made, b'{"id":"1","detail":{"a":[]}}', ABOUT)
        if isinstance(made, Filled) and made.template.is_json and b"<b>" not in template.encode():
            json.loads(payload)


@relaxed
@given(st.text(max_size=12) | st.text(st.sampled_from("$.[]*ab01'\"- "), max_size=12))
def test_any_path_is_taken_or_refused_in_a_sentence(path: str) -> None:
    with suppress(Validation):
        made = shaping({"Id": "t", "InputPath": path})
        assert made is not None
        json.loads(shape(made, b'{"a":[{"b":1}]}', ABOUT))
