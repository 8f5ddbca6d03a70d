"""docs/patterns.md, rule by rule: every number has a case in law.json, and every case passes through both matchers."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tocsin.core.matcher import Index
from tocsin.core.patterns import load_event, matches, parse
from tocsin.model.errors import InvalidEventPattern

DOCUMENT = Path(__file__).parents[2] / "docs" / "patterns.md"
CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("law.json").read_text("utf-8"))


def _name(case: dict[str, Any]) -> str:
    return f"{case['rule']}: {case['pattern'][:60]} {str(case.get('event') or case.get('refused'))[:40]}"


@pytest.mark.parametrize("case", [case for case in CASES if "match" in case], ids=_name)
def test_the_verdict_is_the_laws_through_both_matchers(case: dict[str, Any]) -> None:
    pattern, event = parse(case["pattern"]), load_event(case["event"])

    assert matches(pattern, event) is case["match"]
    assert Index.build([("rule", pattern)]).match(event) == (["rule"] if case["match"] else [])


@pytest.mark.parametrize("case", [case for case in CASES if "refused" in case], ids=_name)
def test_the_refusal_is_the_laws_word_for_word(case: dict[str, Any]) -> None:
    with pytest.raises(InvalidEventPattern) as refused:
        parse(case["pattern"])

    start = f"Event pattern is not valid. Reason: {case['refused']}"
    message = refused.value.message
    assert message.startswith(start)
    places = re.findall(r"\n at \[Source: .*?; line: \d+, column: (\d+)\]", message[len(start) :], re.DOTALL)
    assert re.sub(r"\n at \[Source: .*?; line: \d+, column: \d+\]", "", message[len(start) :], flags=re.DOTALL) == ""
    if "columns" in case:
        assert [int(place) for place in places] == case["columns"]


def test_every_rule_of_the_document_has_a_case_and_every_case_a_rule() -> None:
    written = re.findall(r"^- \*\*(P\d+)\*\*", DOCUMENT.read_text("utf-8"), re.MULTILINE)

    assert written == [f"P{number}" for number in range(1, len(written) + 1)]
    assert {case["rule"] for case in CASES} == set(written)
