"""`tocsin run`: a command on nodes, its output as it comes."""

import sys

import click

from tocsin.cli.options import serves

_WORDS = "tocsin.run.words"


class _Split(click.Command):
    """What stands behind `--` is the command, options and all."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        place = args.index("--") if "--" in args else len(args)
        ctx.meta[_WORDS] = args[place + 1 :]
        return super().parse_args(ctx, args[:place])


@serves
@click.command(cls=_Split, options_metavar="[OPTIONS]", epilog="tocsin run my-cluster/workers -- nvidia-smi -L")
@click.argument("nodes", nargs=-1, required=True, metavar="NODE... -- COMMAND")
@click.option("--document", help="Run this document instead of a shell command.")
@click.option("--parameter", "-p", "parameters", multiple=True, metavar="NAME=VALUE", help="Of the document.")
@click.option("--timeout", type=click.IntRange(1, 172_800), help="Seconds the command may take. [default: 3600]")
@click.option("--max-concurrency", metavar="N|N%", help="So many nodes at once. [default: 50]")
@click.option("--max-errors", metavar="N|N%", help="After more errors, no further node gets it. [default: 0]")
def run(nodes: tuple[str, ...], **given: object) -> None:
    """Run a command on nodes and follow its output. Ctrl-C cancels it.

    NODE is an instance id, a cluster's name, or CLUSTER/GROUP. Exits 0 if all nodes succeeded, 1 if not.
    """
    from tocsin.cli.run import run_on

    words = click.get_current_context().meta[_WORDS]
    if bool(words) == bool(given["document"]):
        raise click.UsageError("say what to run: either a command behind --, or --document")
    sys.exit(run_on(nodes, words, given))
