"""Undocumented means unfinished: whatever a person can set, call, run or read in a log has its place in the docs.

And the other way round: what the docs name is there, with the values they give.
"""

import ast
import importlib
import itertools
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import botocore.session
import click
import msgspec
import pytest
from msgspec import Struct
from starlette.routing import BaseRoute

from tocsin.cli import main
from tocsin.core.announce import CLUSTER_EVENT, NODE_HEALTH, STATE_CHANGE
from tocsin.core.lifecycle import CLUSTER_MOVES, NODE_MOVES
from tocsin.core.plan import FAULT_ENDED, FAULT_SILENT
from tocsin.core.policy import FleetPolicy
from tocsin.doors.chatbot import chatbot_door
from tocsin.doors.cloudcontrol import cloudcontrol_door
from tocsin.doors.door import Door
from tocsin.doors.events import EventsLimits, events_door
from tocsin.doors.hosts import HostsDoor
from tocsin.doors.logs import logs_door
from tocsin.doors.metrics import METRICS, MetricsDoor
from tocsin.doors.metrics.table import OF_RULES, Kind
from tocsin.doors.node_files import NodeFiles
from tocsin.doors.nodes import NodesDoor
from tocsin.doors.own import OwnDoor
from tocsin.doors.own.hosts import HostsApi
from tocsin.doors.sagemaker import sagemaker_door
from tocsin.doors.sns import sns_door
from tocsin.doors.sqs import sqs_door
from tocsin.doors.ssm import ssm_door
from tocsin.doors.sts import sts_door
from tocsin.server.settings import VARIABLES, Settings
from tocsin.services.bus import Bus
from tocsin.services.outbox import Outbox, OutboxLimits

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "tocsin"
DOCS = {path.name: path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))}
PAGES = DOCS | {name: (ROOT / name).read_text() for name in ("README.md", "CHANGELOG.md")}
MODULES = {path: path.read_text() for path in sorted(SOURCE.rglob("*.py"))}
NOTHING = cast("Any", None)  # doors keep what they are given and use it only when they are called

DOORS = {
    "chatbot_door": lambda: chatbot_door(NOTHING, {}, NOTHING),
    "cloudcontrol_door": lambda: cloudcontrol_door(NOTHING, []),
    "events_door": lambda: events_door(NOTHING, NOTHING, EventsLimits(), NOTHING, NOTHING, NOTHING),
    "logs_door": lambda: logs_door(NOTHING),
    "sagemaker_door": lambda: sagemaker_door(NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING),
    "sns_door": lambda: sns_door(NOTHING, NOTHING),
    "sqs_door": lambda: sqs_door(NOTHING),
    "ssm_door": lambda: ssm_door(
        store=NOTHING,
        fleet=NOTHING,
        links=NOTHING,
        hello=NOTHING,
        commands=NOTHING,
        documents=NOTHING,
        limits=NOTHING,
    ),
    "sts_door": sts_door,
}
# Limits whose names end so are told in docs/architecture.md; the CLI's own and the patterns' have other places.
LIMIT = re.compile(r"[A-Z][A-Z0-9_]*_(MAX|MAX_S|GRACE_S|LIMIT_S|TIMEOUT_S|KEPT_BYTES)")
UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "s": 1, "ms": 1, "h": 3_600_000, "d": 86_400_000}


def code_words(text: str) -> set[str]:
    """What stands in backticks."""
    return set(re.findall(r"`([^`\n]+)`", text))


def rows(text: str) -> list[list[str]]:
    """The cells of all table rows, heads and rules left out."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [row for row in cells if not set("".join(row)) <= set("-: ")]


def row_of(text: str, first: str) -> list[str]:
    found = [row for row in rows(text) if row[0] == f"`{first}`"]
    assert len(found) == 1, f"`{first}` begins {len(found)} rows of a table, and should begin one"
    return found[0]


def section(text: str, title: str) -> str:
    """What stands under a heading of the second or third level, up to the next heading."""
    found = re.search(rf"^###? {re.escape(title)}\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"there is no section {title!r}"
    return found[1]


# Settings.


def settings(record: type[Struct] = Settings, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(name in the TOML file, default) of every setting."""
    defaults = record()
    for field in msgspec.structs.fields(record):
        default = getattr(defaults, field.name)
        if isinstance(default, Struct):
            yield from settings(type(default), f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", default


def toml(value: object) -> str:
    """As the table of settings writes a default."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case float():
            return f"{value:g}"
        case dict():
            return "{}"
        case _:
            return str(value)


@pytest.mark.parametrize(("name", "default"), list(settings()))
def test_every_setting_is_documented_with_its_default(name: str, default: object) -> None:
    assert f"`{toml(default)}`" in row_of(DOCS["settings.md"], name)[1:]


def test_the_table_of_settings_promises_no_other() -> None:
    known = {name for name, _ in settings()}
    dotted = {
        row[0].strip("`") for row in rows(DOCS["settings.md"]) if re.fullmatch(r"`[a-z0-9_]+(\.[a-z0-9_]+)?`", row[0])
    }
    assert dotted == known


def test_every_deadline_and_budget_of_the_fleet_is_a_setting() -> None:
    """The fields of FleetPolicy, whatever becomes of the walk above."""
    for field in msgspec.structs.fields(FleetPolicy):
        row_of(DOCS["settings.md"], f"fleet.{field.name}")


@pytest.mark.parametrize(("variable", "name"), list(VARIABLES.items()))
def test_a_settings_variable_is_in_its_row(variable: str, name: str) -> None:
    assert f"`{variable}`" in row_of(DOCS["settings.md"], name)


def test_a_settings_flag_is_in_its_row() -> None:
    for parameter in main.commands["serve"].params:
        if parameter.name in dict(settings()):
            assert f"`{parameter.opts[0]}`" in row_of(DOCS["settings.md"], str(parameter.name))


def test_the_example_file_loads_and_shows_every_table() -> None:
    [example] = re.findall(r"```toml\n(.*?)```", DOCS["settings.md"], re.DOTALL)
    given = tomllib.loads(example)
    msgspec.convert(given, Settings)
    assert {name for name, value in given.items() if isinstance(value, dict)} == {
        name.partition(".")[0] for name, default in settings() if "." in name or isinstance(default, dict)
    }


def test_every_variable_of_ours_is_documented() -> None:
    named = {name for text in MODULES.values() for name in re.findall(r"\bTOCSIN_[A-Z0-9_]*[A-Z0-9]\b", text)}
    assert "TOCSIN_NODE_DIR" in named
    assert named <= set().union(*map(code_words, DOCS.values()))


# The command line.


def commands(group: click.Group = main, prefix: str = "") -> dict[str, click.Command]:
    """Every verb, and the verbs of groups as `pattern lint`."""
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        found[f"{prefix}{name}"] = command
        if isinstance(command, click.Group):
            found |= commands(command, f"{prefix}{name} ")
    return found


@pytest.mark.parametrize("verb", list(commands()))
def test_every_verb_and_option_is_documented(verb: str) -> None:
    told = section(DOCS["operations.md"] + DOCS["cli.md"], f"`tocsin {verb}`")
    for parameter in commands()[verb].params:
        if isinstance(parameter, click.Option):
            for name in parameter.opts:
                assert name in {word.split()[0] for word in code_words(told)}, f"tocsin {verb} {name}"


def test_the_agents_options_are_documented() -> None:
    options = re.findall(r'add_argument\("(--[a-z-]+)"', (SOURCE / "agent" / "main.py").read_text())
    assert options
    assert set(options) <= code_words(section(DOCS["operations.md"], "`tocsin agent`"))


def shown_commands() -> Iterator[tuple[str, list[str]]]:
    for page, text in PAGES.items():
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                if found := re.match(r"(?:\.venv/bin/)?tocsin (.+)", line.strip()):
                    yield page, shlex.split(found[1], comments=True)


def test_every_command_shown_can_be_typed() -> None:
    shown = list(shown_commands())
    assert shown
    for page, (verb, *arguments) in shown:
        assert verb in main.commands, f"{page}: tocsin {verb}"
        longest = (" ".join([verb, *arguments[:words]]) for words in (2, 1, 0))
        command = next(commands()[name] for name in longest if name in commands())
        known = {name for parameter in command.params for name in parameter.opts} | {"--help"}
        ours = itertools.takewhile(lambda one: one != "--", arguments)  # what stands behind is somebody else's command
        assert {one for one in ours if one.startswith("-")} <= known, f"{page}: tocsin {verb} {arguments}"


# The doors.


def test_every_door_is_looked_at_here() -> None:
    made = {name for text in MODULES.values() for name in re.findall(r"^def (\w+_door)\(", text, re.MULTILINE)}
    assert made == set(DOORS)


@pytest.mark.parametrize("name", list(DOORS))
def test_the_operations_documented_are_those_implemented(name: str) -> None:
    door: Door = DOORS[name]()
    table = rows(section(DOCS["aws.md"], f"`{door.service}`"))
    told = {word for row in table for word in code_words(row[0])}
    assert told == set(door.operations)


def test_every_operation_of_hyperpod_has_its_state_told() -> None:
    """Of the installed botocore: what it learns anew has to be looked at."""
    model = botocore.session.get_session().get_service_model("sagemaker")
    hyperpod = re.compile("Cluster|ComputeQuota|TrainingPlan|ReservedCapacity")
    told = code_words(section(DOCS["aws.md"], "`sagemaker`"))
    assert {name for name in model.operation_names if hyperpod.search(name)} <= told


def own_routes() -> list[BaseRoute]:
    own = OwnDoor(
        fleet=NOTHING,
        bus=NOTHING,
        outbox=NOTHING,
        noise=NOTHING,
        store=NOTHING,
        clock=NOTHING,
        new_event_id=NOTHING,
        log_groups_granted=True,
        mishaps=NOTHING,
        hosts=HostsApi(NOTHING, NOTHING),
        alarms=NOTHING,
        trials=NOTHING,
        outcomes=NOTHING,
        catalogue=NOTHING,
        health=NOTHING,
        injections=NOTHING,
        chats=NOTHING,
        posted_by=NOTHING,
    )
    nodes = NodesDoor(
        fleet=NOTHING,
        commands=NOTHING,
        injections=NOTHING,
        extensions=NOTHING,
        links=NOTHING,
        store=NOTHING,
        clock=NOTHING,
        beat_interval_s=NOTHING,
        catalogue=NOTHING,
    )
    files = NodeFiles(NOTHING, NOTHING, NOTHING)
    doors = (own, HostsDoor(NOTHING, NOTHING), nodes, files, MetricsDoor(NOTHING))
    return [route for door in doors for route in door.routes()]


@pytest.mark.parametrize("route", own_routes(), ids=lambda route: route.path)
def test_every_route_of_our_own_is_documented(route: Any) -> None:
    row_of(DOCS["operations.md"], route.path)


def test_every_parameter_of_our_own_api_is_documented() -> None:
    doors = SOURCE / "doors"
    files = [path.read_text() for path in (*sorted((doors / "own").glob("*.py")), doors / "identity.py")]
    asks = r'(?:query_params|query|asked)\.get\("(\w+)"|(?:_time|number)\(request, "(\w+)"|"(\w+)" in request\.query'
    named = {name for text in files for found in re.findall(asks, text) for name in found if name}
    assert {"account", "last", "of", "since_ms", "source"} <= named
    assert named <= code_words(section(DOCS["operations.md"], "Our own API"))


@pytest.mark.parametrize("name", list(METRICS))
def test_every_metric_is_documented(name: str) -> None:
    metric = METRICS[name]
    row = row_of(DOCS["metrics.md"], f"{name}_total" if metric.kind is Kind.COUNTER else name)
    assert (row[1], code_words(row[2])) == (metric.kind, set(metric.labels))
    named = [cloudwatch for cloudwatch, ours in OF_RULES.items() if ours == name]
    assert all(f"`{cloudwatch}`" in row[3] for cloudwatch in named)


def test_no_other_metric_is_promised() -> None:
    told = {row[0].strip("`").removesuffix("_total") for row in rows(section(DOCS["metrics.md"], "All of them"))}
    assert told - {"Metric", "process_…"} == set(METRICS)


# What happens, and what is told of it.


@pytest.mark.parametrize("name", [STATE_CHANGE, NODE_HEALTH, CLUSTER_EVENT, FAULT_ENDED, FAULT_SILENT])
def test_every_event_and_fault_type_is_documented(name: str) -> None:
    assert f"`{name}`" in DOCS["aws.md"]


@pytest.mark.parametrize(("page", "table"), [("architecture.md", CLUSTER_MOVES), ("nodes.md", NODE_MOVES)])
def test_the_tables_of_statuses_are_the_law(page: str, table: dict[Any, frozenset[Any]]) -> None:
    for before, allowed in table.items():
        row = row_of(section(DOCS[page], "Statuses"), before or "(none)")
        assert code_words(row[1]) == {after or "(gone)" for after in allowed}, before


def outbox() -> Outbox:
    return Outbox(
        store=NOTHING, clock=NOTHING, carriers={}, dead_letters=NOTHING, limits=OutboxLimits(), chance=lambda: 0.0
    )


def test_every_count_is_documented() -> None:
    counts = set(Bus(store=NOTHING, clock=NOTHING, targets={}).counts) | set(outbox().counts)
    assert counts <= code_words(section(DOCS["operations.md"], "Our own API"))


def log_lines() -> Iterator[str]:
    """The text of every log call from warning upwards, with … for what is filled in."""
    for path, text in MODULES.items():
        for node in ast.walk(ast.parse(text, str(path))):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="log"), attr="warning" | "error" | "exception" | "critical"),
                    args=[ast.Constant(value=str(line)), *_],
                ) if line != "%s":  # that one logs an error of the tree, which speaks for itself
                    yield re.sub(r"%[sdrg]", "…", line)


def test_the_warnings_explained_are_those_of_the_log() -> None:
    table = rows(section(DOCS["operations.md"], "The log"))
    assert {word for row in table for word in code_words(row[0])} == set(log_lines())


# Limits.


def limits() -> Iterator[tuple[str, str, object]]:
    """(file, name, value) of the limits of the code."""
    for path, text in MODULES.items():
        file = path.relative_to(ROOT).as_posix()
        if file.startswith(("src/tocsin/cli/", "src/tocsin/core/patterns/")):
            continue
        for name in re.findall(r"^([A-Z]\w*)\b[^=\n]* = ", text, re.MULTILINE):
            if LIMIT.fullmatch(name):
                module = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)
                yield file, name, getattr(importlib.import_module(module), name)


def amount(cell: str) -> float:
    number, _, unit = cell.partition(" ")
    return float(number.replace(",", "")) * UNITS[unit]


def test_the_limits_documented_are_those_of_the_code() -> None:
    table = [row for row in rows(section(DOCS["architecture.md"], "Limits")) if row[0].startswith("`")]
    told = {(row[2].strip("`"), row[0].strip("`")): amount(row[1]) for row in table}
    assert told == {(file, name): value for file, name, value in limits()}


# Links and paths.


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, made as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", list(PAGES))
def test_every_relative_link_leads_somewhere(page: str) -> None:
    here = ROOT / "docs" if page in DOCS else ROOT
    text = re.sub(r"```.*?```", "", PAGES[page], flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (here / path).resolve() if path else here / page
        assert target.exists(), f"{page} links to {link}"
        if anchor:
            assert anchor in anchors(target.read_text()), f"{page} links to {link}"


@pytest.mark.parametrize("page", list(PAGES))
def test_every_file_and_room_named_is_there(page: str) -> None:
    rooms = "|".join(entry.name for entry in SOURCE.iterdir() if entry.is_dir() and entry.name != "__pycache__")
    for word in code_words(PAGES[page]):
        if re.fullmatch(r"(src|tests|docs|bench)/[\w./-]*", word):
            assert (ROOT / word).exists(), f"{page} names {word}"
        elif re.fullmatch(rf"({rooms})/[\w./]*", word):
            assert (SOURCE / word).exists(), f"{page} names {word}"


@pytest.mark.parametrize("page", list(PAGES))
def test_no_page_tells_of_the_machine_it_was_written_on(page: str) -> None:
    assert not re.search(r"/work/|/root/|/home/\w|/tmp/\w|pypi|pythonhosted", PAGES[page])
