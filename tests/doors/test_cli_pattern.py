"""`tocsin pattern`: tried and examined without a server; the exit code says the verdict."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tocsin.cli import main

PATTERN, EVENT = '{"source":["aws.sagemaker"]}', '{"source":"aws.sagemaker"}'

REPLACED = (
    "is written outside $or and again in $or[0]. The later list replaces the other: they do not both have to hold."
)


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, ["pattern", *arguments], input=stdin)


@pytest.mark.parametrize(
    ("pattern", "event", "code", "said"),
    [
        (PATTERN, EVENT, 0, "Match.\n"),
        (PATTERN, '{"source":"my.app"}', 1, "No match.\n"),
        (PATTERN, "{}", 1, "No match.\n"),
    ],
)
def test_the_verdict_is_said_and_is_the_exit_code(pattern: str, event: str, code: int, said: str) -> None:
    done = run("test", pattern, event)
    assert (done.exit_code, done.output) == (code, said)


def test_explained_it_names_the_field_what_was_there_and_what_is_near() -> None:
    done = run("test", PATTERN, '{"source":"aws.SageMaker"}', "--explain")
    assert done.exit_code == 1
    assert done.output.splitlines() == [
        "No match. 1 field of 1 does not hold.",
        "  source",
        '    wanted  "aws.sagemaker"',
        '    found   "aws.SageMaker"',
        "    hint    differs only in case",
    ]


def test_as_json_it_is_one_object() -> None:
    assert json.loads(run("test", PATTERN, EVENT, "--output", "json").output) == {"matched": True}
    done = run("test", PATTERN, "{}", "--output", "json", "--explain")
    told = json.loads(done.output)
    assert (done.exit_code, told["matched"]) == (1, False)
    [field] = told["alternatives"][0]["fields"]
    assert (field["path"], field["wanted"], field["found"], field["hint"]) == (
        "source",
        ['"aws.sagemaker"'],
        [],
        "no such key",
    )


def test_texts_come_from_files_and_from_standard_input(tmp_path: Path) -> None:
    (tmp_path / "pattern.json").write_text(PATTERN)
    assert run("test", f"@{tmp_path}/pattern.json", "-", stdin=EVENT).exit_code == 0
    assert run("lint", "-", stdin=PATTERN).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["test", '{"a":1}', EVENT], 'Event pattern is not valid. Reason: "a" must be an object or an array'),
        (["test", PATTERN, "{"], "Event is not valid JSON: "),
        (["test", PATTERN, "[]"], "Event is not a JSON object."),
        (["test", "-", "-"], "cannot both be standard input"),
        (["test", "@/no/such/file", EVENT], "cannot read @/no/such/file: No such file or directory"),
        (["lint", "{}"], "Event pattern is not valid. Reason: Empty objects are not allowed"),
        (["lint"], "Missing argument"),
    ],
)
def test_what_is_not_valid_is_code_two_with_its_reason(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr


def test_lint_tells_numbers_and_notes() -> None:
    done = run("lint", '{"a":["x"],"$or":[{"a":["y*"]},{"b":[{"wildcard":"*a*"}]}]}')
    assert done.exit_code == 1
    assert done.output.splitlines() == [
        "complexity    3 of 10",
        "combinations  2 of 1000",
        "characters    59 of 4096",
        f"a in $or[0]: {REPLACED} [replaced, P11]",
        'a in $or[0]: "y*" is plain text. Stars need {"wildcard": …}. [plain-star, P19]',
    ]
    told = json.loads(run("lint", '{"a":["x","x"]}', "--output", "json").output)
    assert (told["complexity"], [note["kind"] for note in told["notes"]]) == (0, ["duplicate-condition"])
