"""`tocsin fault`: let something go wrong, on demand."""

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from tocsin.cli.options import Verbs, reads

C = TypeVar("C", bound=Callable[..., None])


class Span(click.ParamType[float]):
    """Seconds."""

    name = "span"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from tocsin.cli.when import seconds

        if isinstance(value, float):
            return value
        try:
            return seconds(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.group(cls=Verbs)
def fault() -> None:
    """Failures on demand: plan them, list them, undo them."""


def plans(command: C) -> C:
    """What the verbs have in common that plan a fault."""
    for add in (
        click.option("--for", "for_s", type=Span(), help="For so long: 30s, 10m, 2h. [default: until it is cleared]"),
        click.option("--count", type=click.IntRange(1, 10_000), help="For so many instances. [default: all that come]"),
        click.option("--cluster", help="Only in the cluster of this name. [default: any]"),
        click.argument("group", required=False),
    ):
        command = add(command)
    return command


def names_a_fault(command: C) -> C:
    """The options that name what is put into a node, and for how long."""
    for add in (
        click.option(
            "--for", "for_s", type=Span(), default="10m", show_default=True, help="For so long: 30s, 10m, 2h."
        ),
        click.option("--dead", is_flag=True, help="The node's agent is killed."),
        click.option("--hang", is_flag=True, help="The node's agent stands still."),
        click.option("--reading", nargs=2, help="A check reads so, whatever is: CHECK=VALUE, and the part it is of."),
        click.option(
            "--nic-down", is_flag=False, flag_value="", help="A new interface, of this name, loses its carrier."
        ),
        click.option(
            "--readonly", is_flag=False, flag_value="", help="A small disk turns read-only, at this empty directory."
        ),
        click.option(
            "--disk-full", is_flag=False, flag_value="", help="A small disk is full, at this empty directory."
        ),
        click.option(
            "--gpu-lost", type=click.IntRange(0), is_flag=False, flag_value=0, help="A GPU, by number, is lost. [0]"
        ),
        click.option("--kmsg", help="The kernel logs this line."),
        click.option("--xid", type=click.IntRange(0), help="The kernel logs this Xid."),
    ):
        command = add(command)
    return command


def _plan(kind: str, given: dict[str, str | None], **more: object) -> None:
    from tocsin.cli.fault import plan_fault

    sys.exit(plan_fault(given, {"kind": kind, **more}))


@reads
@fault.command()
@plans
def capacity(
    group: str | None, cluster: str | None, count: int | None, for_s: float | None, **where: str | None
) -> None:
    """There is no machine to be had for new instances of GROUP (of any, without)."""
    _plan("capacity", where, group=group, cluster=cluster, count=count, for_s=for_s)


@reads
@fault.command()
@plans
def script_fails(
    group: str | None, cluster: str | None, count: int | None, for_s: float | None, **where: str | None
) -> None:
    """The lifecycle script of new instances of GROUP fails without being run."""
    _plan("script-fails", where, group=group, cluster=cluster, count=count, for_s=for_s)


@reads
@fault.command()
@plans
def check_fails(
    group: str | None, cluster: str | None, count: int | None, for_s: float | None, **where: str | None
) -> None:
    """The deep health check of instances of GROUP fails without being made."""
    _plan("check-fails", where, group=group, cluster=cluster, count=count, for_s=for_s)


@reads
@fault.command()
@plans
@click.option("--delay", type=Span(), default="30s", show_default=True, help="How long the boot is held back.")
def boot_slow(
    group: str | None, cluster: str | None, count: int | None, for_s: float | None, delay: float, **where: str | None
) -> None:
    """New instances of GROUP take longer to boot."""
    _plan("boot-slow", where, group=group, cluster=cluster, count=count, for_s=for_s, delay_s=delay)


@reads
@fault.command()
@plans
def boot_never(
    group: str | None, cluster: str | None, count: int | None, for_s: float | None, **where: str | None
) -> None:
    """New instances of GROUP never come up."""
    _plan("boot-never", where, group=group, cluster=cluster, count=count, for_s=for_s)


@reads
@fault.command()
@click.argument("node")
@names_a_fault
def inject(node: str, for_s: float, **given: Any) -> None:
    """Put a fault into NODE through its real sources, for a while. Once put in, it is found like any other."""
    from tocsin.cli.fault import put_in
    from tocsin.cli.injecting import asked

    where = {name: given.pop(name) for name in ("endpoint_url", "account", "region", "output")}
    sys.exit(put_in(where, asked(node, for_s, given)))


@reads
@fault.command()
@click.argument("fault_id", required=False)
@click.option("--all", "everything", is_flag=True, help="All of them.")
def take_out(fault_id: str | None, everything: bool, **where: str | None) -> None:
    """Take the fault FAULT_ID out of its node, or all. What became of it already stays so."""
    if bool(fault_id) is everything:
        raise click.UsageError("name a fault, or say --all")
    from tocsin.cli.fault import take_faults_out

    sys.exit(take_faults_out(where, fault_id))


@reads
@fault.command(name="list")
def list_(**where: str | None) -> None:
    """The faults that are planned or put into nodes, and what is left of them."""
    from tocsin.cli.fault import list_faults

    sys.exit(list_faults(where))


@reads
@fault.command()
@click.argument("fault_id", required=False)
@click.option("--all", "everything", is_flag=True, help="All of them.")
def clear(fault_id: str | None, everything: bool, **where: str | None) -> None:
    """Undo the fault FAULT_ID, or all. What has gone wrong already stays so."""
    if bool(fault_id) is everything:
        raise click.UsageError("name a fault, or say --all")
    from tocsin.cli.fault import clear_faults

    sys.exit(clear_faults(where, fault_id))
