"""The `tocsin` command. Each verb imports what it needs when it runs, so that `--help` and the agents start fast."""

import sys
from pathlib import Path

import click

from tocsin import __version__
from tocsin.cli.options import Verbs, reads
from tocsin.cli.verbs.alarm import alarm
from tocsin.cli.verbs.channels import channels
from tocsin.cli.verbs.config import config
from tocsin.cli.verbs.drill import drill
from tocsin.cli.verbs.events import events
from tocsin.cli.verbs.fault import fault
from tocsin.cli.verbs.health import health
from tocsin.cli.verbs.hosts import hosts
from tocsin.cli.verbs.noise import noise
from tocsin.cli.verbs.notify import notify
from tocsin.cli.verbs.pattern import pattern
from tocsin.cli.verbs.rule import rule
from tocsin.cli.verbs.run import run


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tocsin")
def main() -> None:
    """HyperPod-style training clusters, their events, rules and targets, on the AWS wire protocols."""


@main.command()
@click.option("--host", help="Address to listen on. [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on; 0 takes a free one. [default: 4566]")
@click.option("--data-dir", help="Where all state is kept. [default: .tocsin]")
@click.option("--account", help="Account of callers whose access key is not 12 digits. [default: 111122223333]")
@click.option("--region", help="Region of callers that do not sign. [default: us-west-2]")
@click.option("--s3-root", help="Folder whose sub-folders are S3 buckets. [default: s3 in the data directory]")
@click.option(
    "--detach-agents", is_flag=True, default=None, help="Let the nodes' agents live on when the server stops."
)
@click.option(
    "--test-mode", is_flag=True, default=None, help="For test suites: nothing is kept, POST /moto-api/reset wipes all."
)
@click.option("--upstream", metavar="URL", help="Server for services that are not served here, such as S3 and IAM.")
@click.option("--with-moto", is_flag=True, default=None, help="Run moto in this process as that server.")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="TOML file with settings.")
@click.option(
    "--log-level",
    default="warning",
    show_default=True,
    type=click.Choice(["debug", "info", "warning"]),
    help="Lines below it are not logged.",
)
@click.option(
    "--log-format",
    default="text",
    show_default=True,
    type=click.Choice(["text", "json"]),
    help="How a line is written.",
)
def serve(config: Path | None, log_level: str, log_format: str, **given: object) -> None:
    """Run the server in the foreground. Stop it with Ctrl-C or SIGTERM."""
    from tocsin.cli.serve import run

    sys.exit(run(config, log_level, log_format, given))


@main.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def agent(arguments: tuple[str, ...]) -> None:
    """Run a node's agent, with --instance-id, or a host's. The local machines start theirs by themselves."""
    if "--instance-id" in arguments:
        from tocsin.agent.main import main as run
    else:
        from tocsin.machines.steward import main as run

    sys.exit(run(list(arguments)))


@main.command()
@click.option("--keep", is_flag=True, help="Keep the data directory and say where it is.")
@click.option("--no-color", is_flag=True, help="Plain text.")
def demo(keep: bool, no_color: bool) -> None:
    """Play the walkthrough on a server of its own: create, shrink, kill a node, replace it, delete."""
    from tocsin.cli.demo import run

    sys.exit(run(keep=keep, color=not no_color))


@reads
@main.command()
@click.argument("name", required=False)
@click.option(
    "--all", "everything", is_flag=True, help="Show every node. [default: of a large cluster, none that is calm]"
)
def status(name: str | None, everything: bool, **where: str | None) -> None:
    """Clusters, groups and nodes at a glance: all, or the cluster of that NAME."""
    from tocsin.cli.show import show_status

    sys.exit(show_status(where, name, everything=everything or where["output"] == "json"))


@reads
@main.command()
def deliveries(**where: str | None) -> None:
    """What is owed to the outside: webhooks, mail, chat. How much, since when, and what keeps it."""
    from tocsin.cli.deliveries import show_deliveries

    sys.exit(show_deliveries(where))


@reads
@main.command()
@click.argument("name")
@click.option("--last", type=click.IntRange(1, 1000), help="Begin with so many past lines. [default: all]")
@click.option("--follow", "-f", is_flag=True, help="Go on with what happens from now on.")
def story(name: str, last: int | None, follow: bool, **where: str | None) -> None:
    """Everything that happened to a cluster (by name or id) or a node (by instance id), in order, with reasons."""
    from tocsin.cli.show import show_story

    sys.exit(show_story(where, name, last, follow=follow))


for verb in (alarm, channels, config, drill, events, fault, hosts, health, noise, notify, pattern, rule, run):
    main.add_command(verb)
