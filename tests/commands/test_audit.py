"""What the audit says of commands: nothing of sound ones, and what is wrong of others."""

from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from tests.commands.test_progress import BEGIN_MS, command, invocations
from tocsin.core.audit import World, audit
from tocsin.core.commands.happenings import command_event, invocation_event
from tocsin.core.commands.progress import counted
from tocsin.model.command import Command, Details, Invocation, Status
from tocsin.model.event import Event, Journaled


@dataclass
class Told:
    """A command with one invocation, both over, and the events of that."""

    made: Command
    one: Invocation

    def world(self, *events: Event, **changes: Any) -> World:
        journal = tuple(Journaled(seq=number, event=event) for number, event in enumerate(events, 1))
        sound = World(
            clusters=(), nodes=(), journal=journal, routed=len(journal), commands=(self.made,), invocations=(self.one,)
        )
        return replace(sound, **changes)

    @property
    def events(self) -> tuple[Event, Event]:
        return invocation_event(self.made, self.one, BEGIN_MS), command_event(self.made, [self.one], BEGIN_MS)


@pytest.fixture
def told() -> Told:
    [one] = invocations(
        1, status=Status.SUCCESS, details=Details.SUCCESS, sent_ms=BEGIN_MS, started_ms=BEGIN_MS, ended_ms=BEGIN_MS
    )
    made = command(1, status=Status.SUCCESS, details=Details.SUCCESS, counts=counted([one]))
    return Told(made, one)


def laws(world: World) -> set[str]:
    return {note.law for note in audit(world)}


def test_sound_commands_are_not_remarked_upon(told: Told) -> None:
    assert audit(told.world(*told.events)) == []


def test_what_is_wrong_is_named(told: Told) -> None:
    world = told.world(*told.events)
    assert "an invocation belongs to a command" in laws(replace(world, commands=()))
    assert "a command has an invocation for each of its nodes" in laws(replace(world, invocations=()))
    running = replace(told.one, status=Status.IN_PROGRESS, ended_ms=0)
    assert "a command is over when all its invocations are" in laws(replace(world, invocations=(running,)))
    assert "what is over is counted" in laws(replace(world, commands=(replace(told.made, counts=None),)))
    endless = replace(told.one, ended_ms=0)
    assert "what is over has an end" in laws(replace(world, invocations=(endless,)))
    unsent = replace(told.one, sent_ms=0)
    assert "what runs was sent" in laws(replace(world, invocations=(unsent,)))
    open_one = replace(told.made, status=Status.IN_PROGRESS, counts=None, sent_max=0)
    assert "no more is sent than may be at once" in laws(replace(world, commands=(open_one,), invocations=(running,)))


def test_an_end_that_was_not_told_or_told_twice_is_named(told: Told) -> None:
    of_one, of_all = told.events
    assert laws(told.world(of_one)) == {"the end of a command is told once"}
    assert laws(told.world(of_all)) == {"the end of an invocation is told once"}
    again = replace(of_one, id="another")
    assert laws(told.world(of_one, of_all, again)) == {"the end of an invocation is told once"}
