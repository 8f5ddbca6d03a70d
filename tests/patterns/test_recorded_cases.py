"""The recorded verdicts and refusals of AWS and of the reference library, through both matchers.

The cases lie beside the project, not in it; without them these tests say so and skip.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tocsin.core.matcher import Index
from tocsin.core.patterns import Pattern, load_event, matches, parse
from tocsin.model.errors import InvalidEventPattern

CASES = Path(__file__).parents[3] / "shared" / "data" / "pattern-cases.jsonl"
REASON = "Event pattern is not valid. Reason: "

pytestmark = pytest.mark.skipif(not CASES.exists(), reason=f"the recorded cases are not here: {CASES}")


@cache
def _rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in CASES.read_text("utf-8").splitlines()]


def _text(row: dict[str, Any], name: str) -> str:
    if f"{name}_text" in row:
        return str(row[f"{name}_text"])
    value = row[name]
    return value if isinstance(value, str) else json.dumps(value)


def _verdicts() -> Iterator[tuple[dict[str, Any], Pattern, Any]]:
    for row in _rows():
        if "match" in row:
            yield row, parse(_text(row, "pattern")), load_event(_text(row, "event"))


def test_every_recorded_verdict_is_the_naive_matchers() -> None:
    wrong = [row["source"] for row, pattern, event in _verdicts() if matches(pattern, event) is not row["match"]]

    assert wrong == []


def test_every_recorded_verdict_is_the_indexs_with_one_rule_in_it() -> None:
    wrong = [
        row["source"]
        for row, pattern, event in _verdicts()
        if Index.build([("rule", pattern)]).match(event) != (["rule"] if row["match"] else [])
    ]

    assert wrong == []


def test_with_all_recorded_patterns_in_one_index_each_event_gets_what_each_pattern_says() -> None:
    patterns = list({pattern.text: pattern for _, pattern, _ in _verdicts()}.values())
    index = Index.build((pattern.text, pattern) for pattern in patterns)
    events = {json.dumps(event, default=str): event for _, _, event in _verdicts()}

    for event in list(events.values())[::3]:  # a third of them tells as much, in a third of the time
        assert index.match(event) == [pattern.text for pattern in patterns if matches(pattern, event)]


def test_every_recorded_refusal_is_ours_and_says_the_same() -> None:
    refusals = 0
    for row in _rows():
        if "error" not in row:
            continue
        refusals += 1
        with pytest.raises(InvalidEventPattern) as refused:
            parse(_text(row, "pattern"))
        message = refused.value.message
        if "aws_message_raw" not in row:
            assert message.startswith(f"{REASON}{row['message']}")
        elif "<partition>" in row["aws_message_raw"]:  # recorded with a part of the pattern blotted out
            assert message.startswith(row["aws_message"])
        else:
            assert message == row["aws_message_raw"]
    assert refusals > 100


def test_every_pattern_recorded_as_valid_is_valid() -> None:
    for row in _rows():
        if row.get("valid"):
            parse(row["pattern_text"])
