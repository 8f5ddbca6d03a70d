"""Documents and values -> scripts: what each type takes, what is refused, what is filled in where."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.core.commands.content import read
from tocsin.core.commands.parameters import parameter_of, values
from tocsin.core.commands.rendering import STEPS_BYTES_MAX, fill, render
from tocsin.core.commands.targets import Member, by_ids, choose, share
from tocsin.model.command_errors import (
    DuplicateInstanceId,
    InvalidDocumentContent,
    InvalidDocumentSchemaVersion,
    InvalidInstanceId,
    InvalidParameters,
)
from tocsin.model.link import CommandStep
from tocsin.model.names import Scope

SCOPE = Scope("111122223333", "us-west-2")


def steps(parameters: dict[str, Any], inputs: dict[str, Any], given: dict[str, list[str]]) -> tuple[CommandStep, ...]:
    document = {
        "schemaVersion": "2.2",
        "parameters": parameters,
        "mainSteps": [{"action": "aws:runShellScript", "name": "run", "inputs": inputs}],
    }
    return render(read(json.dumps(document), "JSON"), given)


@pytest.mark.parametrize(
    ("spec", "given", "value"),
    [
        ({"type": "String"}, ["a"], "a"),
        ({"type": "String", "default": "b"}, None, "b"),
        ({"type": "StringList"}, ["a", "b"], ["a", "b"]),
        ({"type": "Boolean"}, ["True"], True),
        ({"type": "Boolean", "default": False}, None, False),
        ({"type": "Integer"}, ["-5"], -5),
        ({"type": "StringMap"}, ['{"a": 1}'], {"a": 1}),
        ({"type": "MapList"}, ['{"a": 1}', '{"b": 2}'], [{"a": 1}, {"b": 2}]),
        ({"type": "String", "allowedValues": ["a", "b"]}, ["b"], "b"),
        ({"type": "StringList", "allowedPattern": "^x.*"}, ["xa", "xb"], ["xa", "xb"]),
        ({"type": "String", "minChars": 2, "maxChars": "3"}, ["abc"], "abc"),
    ],
)
def test_a_value_is_read_by_its_type(spec: dict[str, Any], given: list[str] | None, value: Any) -> None:
    definitions = {"p": parameter_of("p", spec)}
    assert values(definitions, {} if given is None else {"p": given}) == {"p": value}


def test_a_command_that_no_frame_of_a_link_holds_is_refused() -> None:
    definitions, inputs = {"commands": {"type": "StringList"}}, {"runCommand": ["{{ commands }}"]}
    [step] = steps(definitions, inputs, {"commands": ["x" * (STEPS_BYTES_MAX - 1000)]})
    assert len(step.script) > STEPS_BYTES_MAX - 1000
    with pytest.raises(InvalidParameters, match="have its script fetch what is large"):
        steps(definitions, inputs, {"commands": ["x" * STEPS_BYTES_MAX]})


@pytest.mark.parametrize(
    ("spec", "given", "words"),
    [
        ({"type": "String"}, None, "is required"),
        ({"type": "String"}, ["a", "b"], "needs one value"),
        ({"type": "Boolean"}, ["yes"], "true or false"),
        ({"type": "Integer"}, ["1.5"], "is no Integer"),
        ({"type": "StringMap"}, ["[]"], "JSON object"),
        ({"type": "MapList"}, ["{"], "is no MapList"),
        ({"type": "String", "allowedValues": ["a"]}, ["c"], "Allowed are: a"),
        ({"type": "String", "allowedPattern": "^[a-z]+$"}, ["a1"], "does not match"),
        ({"type": "String", "allowedPattern": "^[a-z]+$"}, ["abc\n"], "does not match"),
        ({"type": "String", "allowedPattern": "a*"}, ["a" * 5000], "does not match"),
        ({"type": "String", "allowedPattern": "a"}, ["ab"], "does not match"),
        ({"type": "String", "allowedPattern": "(a+)+"}, ["a" * 4000 + "b"], "does not match"),  # in bounded time
        ({"type": "String", "maxChars": 2}, ["abc"], "from 0 to 2"),
        ({"type": "StringList", "minItems": 1}, [], "from 1 to any"),
        ({"type": "StringList", "maxItems": 1}, ["a", "b"], "from 0 to 1"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(spec: dict[str, Any], given: list[str] | None, words: str) -> None:
    definitions = {"p": parameter_of("p", spec)}
    with pytest.raises(InvalidParameters, match="p") as refused:
        values(definitions, {} if given is None else {"p": given})
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("p", {"type": "Number"}),
        ("p", {"type": "String", "allowedPattern": "("}),
        ("p", {"type": "String", "default": 1}),
        ("p", {"type": "Integer", "default": True}),
        ("p", {"type": "String", "allowedValues": "a"}),
        ("p", {"type": "String", "minChars": "few"}),
        ("p", {"type": "String", "colour": "red"}),
        ("p", {"type": "StringList", "interpolationType": "ENV_VAR"}),
        ("p q", {"type": "String"}),
        ("p", []),
    ],
)
def test_a_definition_that_says_nothing_sensible_is_refused(name: str, spec: Any) -> None:
    with pytest.raises(InvalidDocumentContent):
        parameter_of(name, spec)


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        (["{{ lines }}", "end"], ["one", "two", "end"]),
        (["x {{lines}}"], ['x ["one", "two"]']),
        (["{{ word }} {{ word }}"], ["w w"]),
        (["{{ flag }}", "{{ number }}"], [True, 7]),
        (["is {{flag}}, {{number}}"], ["is true, 7"]),
        (["{{ tricky }}"], ["{{ word }}"]),  # a value is not read again
        (["{{.Names}} {{ unknown }}"], ["{{.Names}} {{ unknown }}"]),
    ],
)
def test_parameters_are_filled_in_by_where_they_stand(template: list[str], filled: list[Any]) -> None:
    given = {"lines": ["one", "two"], "word": "w", "flag": True, "number": 7, "tricky": "{{ word }}"}
    assert fill(template, given) == filled


def test_lines_become_the_script() -> None:
    [step] = steps({"commands": {"type": "StringList"}}, {"runCommand": ["{{ commands }}"]}, {"commands": ["a", "b"]})
    assert step.script == "a\nb\n"
    assert (step.interpreter, step.time_limit_s, step.directory) == ("sh", 3600.0, "")


def test_a_parameter_for_the_environment_does_not_touch_the_text() -> None:
    spec = {"word": {"type": "String", "interpolationType": "ENV_VAR"}}
    [step] = steps(spec, {"runCommand": ["echo $SSM_word {{ word }}"]}, {"word": ["'; reboot"]})
    assert step.script == "echo $SSM_word {{ word }}\n"
    assert step.environment == {"SSM_word": "'; reboot"}


@pytest.mark.parametrize("seconds", ["0", "172801", "soon", "-1"])
def test_a_time_limit_out_of_bounds_is_refused(seconds: str) -> None:
    spec = {"limit": {"type": "String"}}
    with pytest.raises(InvalidParameters):
        steps(spec, {"runCommand": ["true"], "timeoutSeconds": "{{ limit }}"}, {"limit": [seconds]})


def test_yaml_aliases_are_refused_before_they_grow() -> None:
    bomb = "a: &a [x, x]\n" + "\n".join(f"b{n}: &b{n} [*a, *a]" for n in range(9))
    with pytest.raises(InvalidDocumentContent, match="alias"):
        read(bomb, "YAML")


@pytest.mark.parametrize("form", ["JSON", "YAML"])
@given(text=st.text(max_size=200))
def test_any_text_is_read_or_refused(form: str, text: str) -> None:
    with pytest.raises((InvalidDocumentContent, InvalidDocumentSchemaVersion)):  # nothing else comes out of a reader
        read(text, form)


MEMBERS = {
    f"i-{number:017x}": Member(
        instance_id=f"i-{number:017x}",
        cluster_id="abcdefghijkl",
        group=f"group-{number % 2}",
        name="host",
        tags={"tocsin:instance-group": f"group-{number % 2}", "n": str(number)},
    )
    for number in range(4)
}
FIRST = next(iter(MEMBERS))


@pytest.mark.parametrize(
    ("named", "error"),
    [
        ([f"sagemaker-cluster:abcdefghijkl_group-0-{FIRST}"], None),
        ([f"sagemaker-cluster:zzzzzzzzzzzz_group-0-{FIRST}"], InvalidInstanceId),
        ([f"sagemaker-cluster:abcdefghijkl_group-1-{FIRST}"], InvalidInstanceId),
        ([FIRST, f"sagemaker-cluster:abcdefghijkl_group-0-{FIRST}"], DuplicateInstanceId),
        (["i-ffffffffffffffff0"], InvalidInstanceId),
    ],
)
def test_a_node_is_found_by_every_name_it_has_and_no_other(named: list[str], error: type[Exception] | None) -> None:
    if error is None:
        assert [one.member.instance_id for one in by_ids(named, MEMBERS, SCOPE)] == [FIRST]
        return
    with pytest.raises(error):
        by_ids(named, MEMBERS, SCOPE)


def test_several_targets_must_all_fit_and_any_value_of_one() -> None:
    targets = [
        {"Key": "tag:tocsin:instance-group", "Values": ["group-0"]},
        {"Key": "tag:n", "Values": ["0", "1", "3"]},
    ]
    assert [one.member.instance_id for one in choose({"Targets": targets}, MEMBERS, SCOPE)] == [FIRST]
    with pytest.raises(InvalidParameters, match="cannot be given together"):
        choose({"Targets": targets, "InstanceIds": [FIRST]}, MEMBERS, SCOPE)


@pytest.mark.parametrize(
    ("given", "of", "count"), [("10", 3, 10), ("50%", 3, 2), ("1%", 10, 1), ("100%", 7, 7), ("0%", 5, 0), ("0", 5, 0)]
)
def test_a_percentage_is_a_count_rounded_up(given: str, of: int, count: int) -> None:
    assert share(given, of) == count
