"""How the life of a simulated machine will go: drawn once for each boot, from a seed. Decisions only, no clock.

The draw depends on the seed, the cluster's name, the group and how many boots the group has had, and on nothing else:
the same requests to the same seed meet the same fate.
"""

import math
import random
from collections import Counter
from typing import Protocol

from msgspec import Struct

from tocsin.model.machine import LaunchOrder

HOUR_S = 3600.0


class SimulatedSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Times in seconds of a simulated machine's own time, which runs `speed` times as fast as ours."""

    seed: int = 0
    # 0: nothing takes any time at all.
    speed: float = 1.0
    boot_s_min: float = 2.0
    boot_s_max: float = 8.0
    script_s: float = 2.0
    end_s: float = 1.0
    reset_s: float = 5.0  # of its GPUs
    # Of a hundred boots, scripts, deep health checks and resets of GPUs, how many fail, in percent.
    boots_fail_percent: float = 0.0
    scripts_fail_percent: float = 0.0
    checks_fail_percent: float = 0.0
    resets_fail_percent: float = 0.0
    # Failure domains that they are spread over. 0: they are in none.
    racks: int = 0
    # Mean time between failures of one machine. 0: none fails by itself.
    mtbf_hours: float = 0.0


class Course(Struct, frozen=True, kw_only=True):
    """One boot and what comes after it. `order_s`: until the order is taken. `lives_s` 0: until somebody ends it."""

    order_s: float = 0.0
    boot_s: float = 0.0
    never_up: bool = False
    script_s: float = 0.0
    script_fails: bool = False
    check_fails: bool = False
    reset_s: float = 0.0
    reset_fails: bool = False
    lives_s: float = 0.0
    end_s: float = 0.0


class Courses(Protocol):
    """Whatever decides how a boot goes."""

    def draw(self, order: LaunchOrder) -> Course:
        """The course of the next boot. Raises OSError when there is no machine to be had."""


class SeededCourses:
    """Courses from the settings."""

    def __init__(self, settings: SimulatedSettings) -> None:
        self._settings = settings
        self._drawn: Counter[tuple[str, str]] = Counter()

    def draw(self, order: LaunchOrder) -> Course:
        place = (order.cluster_name, order.group)
        self._drawn[place] += 1
        chance = random.Random(f"{self._settings.seed}/{'/'.join(place)}/{self._drawn[place]}")  # noqa: S311 - no secret
        return self._scaled(chance)

    def _scaled(self, chance: random.Random) -> Course:
        wanted, speed = self._settings, self._settings.speed
        scale = 1 / speed if speed else 0.0
        # All are drawn, whatever the settings: changing one leaves the draws of the others as they are.
        boot, never, fails, lives, check, reset = (chance.random() for _ in range(6))
        boot_s = wanted.boot_s_min + (wanted.boot_s_max - wanted.boot_s_min) * boot
        lives_s = -math.log(1 - lives) * wanted.mtbf_hours * HOUR_S  # exponential: failures come without memory
        return Course(
            boot_s=boot_s * scale,
            never_up=never * 100 < wanted.boots_fail_percent,
            script_s=wanted.script_s * scale,
            script_fails=fails * 100 < wanted.scripts_fail_percent,
            check_fails=check * 100 < wanted.checks_fail_percent,
            reset_s=wanted.reset_s * scale,
            reset_fails=reset * 100 < wanted.resets_fail_percent,
            lives_s=lives_s / (speed or 1.0),
            end_s=wanted.end_s * scale,
        )
