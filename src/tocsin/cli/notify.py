"""`tocsin notify test`: publishes through our own API, then asks what became of each delivery until all is known."""

import json
import time
from typing import Any

import click

from tocsin.cli.client import Unreachable, get, post
from tocsin.cli.show import Where, failed

# Reached, or not meant to be.
FINE = ("delivered", "filtered")
# What follows only later, by itself: told, and not waited for.
LATER = ("held",)
UNKNOWN_YET = ("handed over", "waiting")
ASKED_EVERY_S = 0.2


def show_test(where: Where, to: str, wait_s: float) -> int:
    """0: everybody has it whom the filters let have it. 1: somebody has not, nobody hears it, or no server answers."""
    try:
        sent = post(where, "/_tocsin/v1/notify", {"to": to})
        hops = _followed(where, sent["hops"], wait_s)
    except Unreachable as error:
        return failed(error)
    if where.get("output") == "json":
        click.echo(json.dumps({**sent, "hops": hops}, indent=2))
    else:
        _print(sent, hops)
    return 0 if hops and all(hop["became"] in FINE + LATER for hop in hops) else 1


def _followed(where: Where, hops: list[dict[str, Any]], wait_s: float) -> list[dict[str, Any]]:
    """The hops, those that were handed over with what became of them. Asks until all is known or time is up."""
    until = time.monotonic() + wait_s
    ids = [hop["outbound_id"] for hop in hops if hop["outbound_id"]]
    while True:
        query = {"id": ids}
        told = get(where, "/_tocsin/v1/outbounds", **query)["outbounds"] if ids else []
        by_id = {one["id"]: one for one in told}
        merged = [_merged(hop, by_id.get(hop["outbound_id"])) for hop in hops]
        if all(hop["became"] not in UNKNOWN_YET for hop in merged) or time.monotonic() >= until:
            return merged
        time.sleep(ASKED_EVERY_S)


def _merged(hop: dict[str, Any], outbound: dict[str, Any] | None) -> dict[str, Any]:
    if outbound is None:
        return hop
    return {**hop, "became": outbound["state"], "why": outbound["answer"], "attempts": outbound["attempts"]}


def _print(sent: dict[str, Any], hops: list[dict[str, Any]]) -> None:
    click.echo(f"sent to {sent['to']} as {sent['message_id']}")
    if not hops:
        click.echo("nobody hears it: the topic has no subscriptions")
    for hop in hops:
        attempts = f" after {hop['attempts']} attempts" if hop.get("attempts", 0) > 1 else ""
        why = f": {hop['why']}" if hop["why"] else ""
        click.echo(f"  {hop['protocol']:<10} {hop['endpoint']}  {hop['became']}{attempts}{why}")
