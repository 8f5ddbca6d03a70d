"""docs/transform.md, rule by rule: every number has cases in law.json, and every case comes out as it says.

A case is a target and an event with what is `sent` (null: the event itself) or `undelivered`, or a target and how it is
`refused`, or a payload and its log `line` (null: none).
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tocsin.core.transform import About, log_line, sendable, shape, shaping
from tocsin.model.errors import Validation

DOCUMENT = Path(__file__).parents[2] / "docs" / "transform.md"
CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("law.json").read_text("utf-8"))
EVENTS: dict[str, str] = json.loads(Path(__file__).with_name("events.json").read_text("utf-8"))
ABOUT = About("arn:aws:events:us-east-2:123456789012:rule/example", "example", "2026-09-01T12:00:01Z")
DEFAULT_MS = 42


def _with(member: str) -> list[Any]:
    return [pytest.param(case, id=f"{case['rule']}: {case['case']}") for case in CASES if member in case]


@pytest.mark.parametrize("case", _with("sent"))
def test_the_payload_is_the_laws_and_goes_out(case: dict[str, Any]) -> None:
    made = shaping({"Id": "t1", **case["target"]})

    if case["sent"] is None:
        assert made is None
    else:
        assert made is not None
        payload = shape(made, EVENTS[case["event"]].encode(), ABOUT)
        assert payload.decode() == case["sent"]
        assert sendable(made, payload)


@pytest.mark.parametrize("case", _with("undelivered"))
def test_a_payload_that_is_no_json_stays_here(case: dict[str, Any]) -> None:
    made = shaping({"Id": "t1", **case["target"]})

    assert made is not None
    payload = shape(made, EVENTS[case["event"]].encode(), ABOUT)
    assert payload.decode() == case["undelivered"]
    assert not sendable(made, payload)


@pytest.mark.parametrize("case", _with("refused"))
def test_the_refusal_is_the_laws_word_for_word(case: dict[str, Any]) -> None:
    with pytest.raises(Validation) as refused:
        shaping({"Id": "t1", **case["target"]})

    assert refused.value.message == case["refused"]


@pytest.mark.parametrize("case", _with("line"))
def test_the_log_line_is_the_laws(case: dict[str, Any]) -> None:
    line = log_line(case["payload"].encode(), DEFAULT_MS)

    assert (list(line) if line else None) == case["line"]


def test_every_rule_of_the_document_has_a_case_and_every_case_a_rule() -> None:
    written = re.findall(r"^- \*\*(T\d+)\*\*", DOCUMENT.read_text("utf-8"), re.MULTILINE)

    assert written == [f"T{number}" for number in range(1, len(written) + 1)]
    assert {case["rule"] for case in CASES} == set(written)
    assert len({(case["rule"], case["case"]) for case in CASES}) == len(CASES)
