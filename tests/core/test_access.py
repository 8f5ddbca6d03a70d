"""Resource policies: who may do what, as IAM's own documentation has it."""

import json
from typing import Any

import pytest

from tocsin.core.access import Wish, allowed, like, statements_of
from tocsin.core.loggrants import may_write, needed_policy
from tocsin.model.names import Scope, delivery_stream, log_group_arn, rule_arn
from tocsin.model.rule import Target

STREAM = "arn:aws:logs:us-west-2:111122223333:log-group:/g/one:log-stream:s"
RULE = "arn:aws:events:us-west-2:111122223333:rule/r"
WISH = Wish(
    ("events.amazonaws.com", "delivery.logs.amazonaws.com"),
    "logs:PutLogEvents",
    STREAM,
    {"aws:SourceArn": RULE, "aws:SourceAccount": "111122223333"},
)
ALLOW = {
    "Effect": "Allow",
    "Principal": {"Service": "events.amazonaws.com"},
    "Action": "logs:PutLogEvents",
    "Resource": STREAM,
}


def policy(*statements: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def without(name: str, **more: Any) -> dict[str, Any]:
    return {key: value for key, value in ALLOW.items() if key != name} | more


YES: list[dict[str, Any]] = [
    {},
    {"Principal": "*"},
    {"Principal": {"AWS": "*"}},
    {"Principal": {"Service": ["x.amazonaws.com", "delivery.logs.amazonaws.com"]}},
    {"Principal": {"Service": "*"}},
    {"Action": "*"},
    {"Action": "logs:*"},
    {"Action": "LOGS:putlogevents"},
    {"Action": ["logs:CreateLogStream", "logs:Put*"]},
    {"Action": "logs:?utLogEvents"},
    {"Resource": "*"},
    {"Resource": "arn:aws:logs:us-west-2:111122223333:log-group:/g/*:*"},
    {"Resource": ["nothing", "arn:aws:logs:*:*:log-group:/g/one:*"]},
    {"Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:events:*:111122223333:rule/*"}}},
    {"Condition": {"StringEquals": {"AWS:SOURCEACCOUNT": ["1", "111122223333"]}}},
    {"Condition": {"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-1"}}},
    {"Condition": {"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}},
]
NO: list[dict[str, Any]] = [
    {"Principal": {"Service": "sns.amazonaws.com"}},
    {"Principal": {"AWS": "111122223333"}},
    {"Principal": []},
    {"Action": "logs:CreateLogStream"},
    {"Action": []},
    {"Action": "logs:PutLogEvents "},
    {"Resource": "arn:aws:logs:us-west-2:111122223333:log-group:/g/one"},
    {"Resource": "arn:aws:logs:us-west-2:111122223333:log-group:/G/ONE:*"},
    {"Resource": {"x": "*"}},
    {"Effect": "allow"},
    {"Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:events:*:111122223333:rule/other"}}},
    {"Condition": {"StringEquals": {"aws:SourceAccount": "2"}}},
    {"Condition": {"StringNotEquals": {"aws:SourceAccount": "111122223333"}}},
    {"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}},
    {"Condition": {"DateLessThan": {"aws:CurrentTime": "2100-01-01T00:00:00Z"}}},
    {"Condition": "always"},
]


@pytest.mark.parametrize("change", YES, ids=json.dumps)
def test_a_statement_allows(change: dict[str, Any]) -> None:
    assert allowed([policy(ALLOW | change)], WISH)
    assert not allowed([policy(ALLOW), policy(ALLOW | change | {"Effect": "Deny"})], WISH)


@pytest.mark.parametrize("change", NO, ids=json.dumps)
def test_a_statement_does_not_allow(change: dict[str, Any]) -> None:
    assert not allowed([policy(ALLOW | change)], WISH)


@pytest.mark.parametrize("name", ["Principal", "Action", "Resource", "Effect"])
def test_a_statement_that_lacks_an_element_says_nothing(name: str) -> None:
    assert not allowed([policy(without(name))], WISH)
    assert allowed([policy(ALLOW), policy(without(name) | {"Sid": "no"})], WISH)


@pytest.mark.parametrize(
    ("name", "other", "same"),
    [
        ("Principal", {"Service": "sns.amazonaws.com"}, ALLOW["Principal"]),
        ("Action", "logs:Delete*", ALLOW["Action"]),
        ("Resource", "arn:aws:logs:*:*:log-group:/other:*", ALLOW["Resource"]),
    ],
)
def test_not_before_an_element_is_its_opposite(name: str, other: Any, same: Any) -> None:
    assert allowed([policy(without(name, **{f"Not{name}": other}))], WISH)
    assert not allowed([policy(without(name, **{f"Not{name}": same}))], WISH)


def test_what_a_deny_asks_and_nobody_here_knows_denies() -> None:
    unknown = {"DateLessThan": {"aws:CurrentTime": "2100-01-01T00:00:00Z"}}
    assert not allowed([policy(ALLOW, ALLOW | {"Effect": "Deny", "Condition": unknown})], WISH)


def test_no_policy_allows_nothing_and_one_statement_needs_no_list() -> None:
    assert not allowed([], WISH)
    assert allowed([json.dumps({"Statement": ALLOW})], WISH)
    for text in ("", "{", "[]", "7", '{"Statement": 7}', "[" * 100_000):
        assert statements_of(text) == ()


def test_wildcards_are_iams_and_nothing_else_is_special() -> None:
    assert like("a*b?d", "axxbcd")
    assert like("*", "")
    assert not like("a?b", "ab")
    assert not like("a.c", "abc")
    assert not like("[a]", "a")
    assert like("a" + "*" * 30 + "b", "a" + "x" * 3000 + "b")


def test_the_policy_that_is_named_is_the_one_that_lets_it() -> None:
    here = Scope("111122223333", "us-west-2")
    rule = rule_arn(here, "default", "r")
    for suffix in ("", ":*"):
        target = Target(id="log", arn=log_group_arn(here, "/g") + suffix, spec={})
        other = Target(id="log", arn=log_group_arn(here, "/g2"), spec={})
        assert may_write([needed_policy(target.arn)], rule, target)
        assert not may_write([needed_policy(target.arn)], rule, other)
    only = needed_policy(target.arn).replace(
        ":log-group:/g:*", f":log-group:/g:log-stream:{delivery_stream(rule, 'log')}"
    )
    assert may_write([only], rule, target)
    assert not may_write([needed_policy(target.arn).replace(', "logs:PutLogEvents"', "")], rule, target)


@pytest.mark.parametrize(
    ("principal", "let_in"),
    [
        ({"AWS": "222233334444"}, True),
        ({"AWS": ["1", "arn:aws:iam::222233334444:root"]}, True),
        ("*", True),
        ({"AWS": "111122223333"}, False),
        ({"AWS": "arn:aws:iam::222233334444:user/one"}, False),
        ({"Service": "events.amazonaws.com"}, False),
        ({"AWS": ""}, False),
    ],
)
def test_an_account_is_named_by_its_number_or_its_root(principal: Any, let_in: bool) -> None:
    wish = Wish((), "logs:PutLogEvents", STREAM, {}, "222233334444")
    assert allowed([policy(ALLOW | {"Principal": principal})], wish) is let_in
