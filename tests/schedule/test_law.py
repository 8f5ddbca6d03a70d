"""docs/schedules.md, rule by rule: every number has cases in law.json, and every case comes out as it says.

A case is an expression that is `refused`, or one with the moments it fires at `next`, one after the other; an empty
list is a schedule that never fires again.
"""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tocsin.core.schedule import next_after, parse
from tocsin.model.errors import Validation

DOCUMENT = Path(__file__).parents[2] / "docs" / "schedules.md"
CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("law.json").read_text("utf-8"))


def _with(member: str) -> list[Any]:
    return [pytest.param(case, id=f"{case['rule']}: {case['case']}") for case in CASES if member in case]


@pytest.mark.parametrize("case", _with("refused"))
def test_the_expression_is_refused_in_awss_words(case: dict[str, Any]) -> None:
    with pytest.raises(Validation) as refused:
        parse(case["expression"])

    assert refused.value.message == "Parameter ScheduleExpression is not valid."


@pytest.mark.parametrize("case", _with("next"))
def test_the_schedule_fires_when_the_law_says(case: dict[str, Any]) -> None:
    schedule = parse(case["expression"])
    moment = datetime.fromisoformat(case["after"])
    anchor = datetime.fromisoformat(case.get("anchor", case["after"]))

    for expected in case["next"]:
        following = next_after(schedule, moment, anchor)
        assert following == datetime.fromisoformat(expected).replace(tzinfo=UTC)
        assert following is not None
        moment = following
    if not case["next"]:
        assert next_after(schedule, moment, anchor) is None


def test_every_rule_of_the_document_has_a_case_and_every_case_a_rule() -> None:
    written = re.findall(r"^- \*\*(S\d+)\*\*", DOCUMENT.read_text("utf-8"), re.MULTILINE)

    assert written == [f"S{number}" for number in range(1, len(written) + 1)]
    assert {case["rule"] for case in CASES} == set(written)
    assert len({(case["rule"], case["case"]) for case in CASES}) == len(CASES)
