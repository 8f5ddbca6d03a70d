"""`tocsin drill`: put a fault into a node, and time what becomes of it: found, told, delivered, mended.

Times are the server's and the node's own, as the story and the faults have them; what is asked for again and again here
is only whether they are there.
"""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import click
from msgspec import Struct

from tocsin.cli.client import Refused, Unreachable, get, post
from tocsin.cli.fault import INJECTIONS
from tocsin.cli.health import PATH as HEALTH
from tocsin.cli.show import Where, failed

LOOK_S = 0.05
MISSED_AFTER_S = 2.0  # an agent that stood still is asked to go on every half second, and linked anew then
UNHEALTHY, HEALTHY = "Healthy → Unhealthy", "Unhealthy → Healthy"

LEFT = "is left as it is"  # nor is anything done about a lemon, or where the ladder is at its end
UNFIT = (
    "tocsin: {node} is Unhealthy already ({fault}). Drill with a healthy node, or put the fault in with "
    "`tocsin fault inject`."
)


class Passed(Struct, frozen=True):
    """A step that was reached: when (epoch ms), and what is to be told of it."""

    step: str
    at_ms: int
    words: str = ""


class Drill:
    def __init__(self, where: Where, asked: Mapping[str, Any], limit_s: float) -> None:
        self._where = where
        self._asked = asked
        self._ends = time.monotonic() + limit_s
        self._node: dict[str, Any] = {}
        self._begun_ms = 0
        self._seen_ms = 0  # the fault was known before the drill, up to here
        self._delivered = self._routed = 0
        self._unmissed = float("inf")  # from when on (monotonic) an agent that stood still was not missed

    def run(self) -> int:
        """0 when the node was mended, or nothing is to be done about it; 1 when a step was not reached in time, or the
        node was unhealthy before: what becomes of one fault more could not be told from what is done anyway."""
        [self._node] = get(self._where, HEALTH, node=self._asked["node"])["nodes"]
        if self._node["health"] == "Unhealthy":
            click.echo(UNFIT.format(node=self._node["name"], fault=self._node["fault_type"]), err=True)
            return 1
        self._seen_ms = max((fault["last_ms"] for fault in self._node["faults"]), default=0)
        self._routed, self._delivered = self._counts()
        made = post(self._where, INJECTIONS, dict(self._asked))["injection"]
        self._begun_ms = made["created_ms"]
        self._print(
            Passed("put in", self._begun_ms, " ".join(filter(None, (made["what"], made["argument"], made["part"]))))
        )
        steps: list[Callable[[], Passed | None]] = [self._event, self._delivery, self._recovery]
        if made["what"] == "hang":
            self._unmissed = time.monotonic() + self._asked["for_s"] + MISSED_AFTER_S
        if made["what"] not in ("hang", "dead"):
            steps.insert(0, self._finding)
        for step in steps:
            passed = self._until(step)
            if passed is None:
                click.echo(f"not reached in time: {step.__name__.strip('_')}", err=True)
                return 1
            self._print(passed)
            if passed.step in ("healthy", "left"):
                return 0
        return 0

    def _until(self, step: Callable[[], Passed | None]) -> Passed | None:
        while time.monotonic() < self._ends:
            passed = step()
            if passed is not None:
                return passed
            time.sleep(LOOK_S)
        return None

    def _print(self, passed: Passed) -> None:
        after_s = (passed.at_ms - self._begun_ms) / 1000
        if self._where["output"] == "json":
            click.echo(json.dumps({"step": passed.step, "after_s": after_s, "what": passed.words}))
        else:
            click.echo(f"{passed.step:<10} {after_s:+9.3f} s  {passed.words}")

    def _told(self) -> list[dict[str, Any]]:
        """The story of the node's cluster since the fault was put in."""
        lines: list[dict[str, Any]] = get(self._where, "/_tocsin/v1/story", of=self._node["cluster"], limit=1000)[
            "lines"
        ]
        return [line for line in lines if line["at_ms"] >= self._begun_ms]

    def _finding(self) -> Passed | None:
        """In the node's list of faults; or, where that is over already, in what its agent wrote."""
        try:
            [node] = get(self._where, HEALTH, node=self._node["instance_id"])["nodes"]
        except Refused:  # replaced in the meantime
            node = {"faults": []}
        fresh = [fault for fault in node["faults"] if fault["last_ms"] > self._seen_ms]
        if fresh:
            healthy = "" if fresh[0]["counts"] else f": {fresh[0]['why']}"
            return Passed("found" if fresh[0]["counts"] else "left", fresh[0]["last_ms"], fresh[0]["fault"] + healthy)
        event = self._event()
        return Passed("found", event.at_ms, "told at once") if event else None

    def _event(self) -> Passed | None:
        over = time.monotonic() > self._unmissed
        for line in self._told():
            if line["instance_id"] == self._node["instance_id"] and UNHEALTHY in line["what"]:
                return Passed("event", line["at_ms"], f"Unhealthy: {line['why']}")
        return Passed("left", time.time_ns() // 1_000_000, "its agent went on before it was missed") if over else None

    def _delivery(self) -> Passed | None:
        """All deliveries of the server count: whoever drills on a busy one sees others' as well."""
        routed, delivered = self._counts()
        if routed <= self._routed:
            return None
        number = delivered - self._delivered
        return Passed(
            "delivered", time.time_ns() // 1_000_000, f"{number} deliveries" if number else "no rule wanted it"
        )

    def _counts(self) -> tuple[int, int]:
        bus = get(self._where, "/_tocsin/v1/status")["bus"]
        return bus.get("routed", 0), bus.get("delivered", 0)

    def _recovery(self) -> Passed | None:
        """Healthy again, or its replacement runs, or nothing is going to be done."""
        told = self._told()
        ours = self._node["instance_id"]
        heirs = {line["instance_id"] for line in told if line["why"] == f"replaces {ours}"}
        for line in told:
            if line["instance_id"] == ours and HEALTHY in line["what"]:
                return Passed("healthy", line["at_ms"], "the node is healthy again")
            if line["instance_id"] in heirs and line["what"].endswith("Pending → Running"):
                return Passed("healthy", line["at_ms"], f"replaced by {line['instance_id']}")
        try:
            [node] = get(self._where, HEALTH, node=ours)["nodes"]
        except Refused:
            return None
        if node["health"] == "Unhealthy" and (node["next"].startswith("nothing") or LEFT in node["next"]):
            return Passed("left", time.time_ns() // 1_000_000, node["next"])
        return None


def drill(where: Where, asked: Mapping[str, Any], limit_s: float) -> int:
    try:
        return Drill(where, asked, limit_s).run()
    except Unreachable as error:
        return failed(error)
