"""What a person reads: the lines and the sentence of an explanation, as they are printed."""

import json
from typing import Any

import pytest

from tocsin.core.patterns import explain, lines, parse, sentence

HEALTH = {"source": "aws.sagemaker", "detail": {"ClusterName": "demo", "HealthSummary": {"HealthStatus": "Unhealthy"}}}

ABSENT = (
    'detail.HealthStatus: wanted "Unhealthy", found nothing; no such key;'
    " did you mean detail.HealthSummary.HealthStatus? (and 1 more field)"
)

CASES: list[tuple[str, dict[str, Any], dict[str, Any], str, str]] = [
    (
        "a match",
        {"source": ["aws.sagemaker"], "detail": {"ClusterName": [{"prefix": "de"}]}},
        HEALTH,
        "matches",
        """Match.
  detail.ClusterName: wanted {"prefix": "de"}, found "demo"
  source: wanted "aws.sagemaker", found "aws.sagemaker\"""",
    ),
    (
        "another case",
        {"source": ["aws.sagemaker"], "detail": {"HealthSummary": {"HealthStatus": ["unhealthy", "Degraded"]}}},
        HEALTH,
        'detail.HealthSummary.HealthStatus: wanted "unhealthy" or "Degraded", found "Unhealthy"; differs only in case',
        """No match. 1 field of 2 does not hold.
  detail.HealthSummary.HealthStatus
    wanted  "unhealthy" or "Degraded"
    found   "Unhealthy"
    hint    differs only in case""",
    ),
    (
        "a key one level off, and a second field",
        {"source": ["aws.ec2"], "detail": {"HealthStatus": ["Unhealthy"]}},
        HEALTH,
        ABSENT,
        """No match. 2 fields of 2 do not hold.
  detail.HealthStatus
    wanted  "Unhealthy"
    found   nothing
    hint    no such key; did you mean detail.HealthSummary.HealthStatus?
  source
    wanted  "aws.ec2"
    found   "aws.sagemaker\"""",
    ),
    (
        "different array elements",
        {"a": {"b": [1], "c": [2]}},
        {"a": [{"b": 1}, {"c": 2}]},
        "each field holds, but not in the same array element",
        """No match. Each field holds, but in different elements of an array. One element must meet them all.
  a.b
    wanted  1
    found   1
  a.c
    wanted  2
    found   2""",
    ),
    (
        "alternatives, nearest first",
        {"$or": [{"a": [1], "b": [1], "c": [1]}, {"a": [1], "b": [2]}, {"b": [1], "c": [4]}, {"b": [5], "c": [6]}]},
        {"a": 1, "b": 3},
        "b: wanted 2, found 3",
        """No match. None of the 4 combinations of $or holds.
Nearest: 1 field of 2 does not hold.
  b
    wanted  2
    found   3
Then: 2 fields of 3 do not hold.
  b
    wanted  1
    found   3
  c
    wanted  1
    found   nothing
    hint    no such key
Then: 2 fields of 2 do not hold.
  b
    wanted  1
    found   3
  c
    wanted  4
    found   nothing
    hint    no such key
And 1 other combination.""",
    ),
    (
        "many values",
        {"a": [1, 2, 3, 4, 5, 6, 7]},
        {"a": [10, 11, 12, 13, 14, 15, 16]},
        "a: wanted 1 or 2 or 3 or 4 or 5 or 2 more, found 16, 15, 14, 13, 12 and 2 more",
        """No match. 1 field of 1 does not hold.
  a
    wanted  1 or 2 or 3 or 4 or 5 or 2 more
    found   16, 15, 14, 13, 12 and 2 more""",
    ),
]


@pytest.mark.parametrize(
    ("pattern", "event", "short", "told"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_an_explanation_in_words(pattern: dict[str, Any], event: dict[str, Any], short: str, told: str) -> None:
    explanation = explain(parse(json.dumps(pattern)), event)

    assert "\n".join(lines(explanation)) == told
    assert sentence(explanation) == short
