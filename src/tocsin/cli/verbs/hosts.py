"""`tocsin hosts`: the real machines that instances are made of."""

import sys

import click

from tocsin.cli.options import Verbs, reads
from tocsin.cli.verbs.fault import Span


@reads
@click.group(cls=Verbs, invoke_without_command=True)
def hosts(**where: str | None) -> None:
    """The hosts, what each is, and who is linked. With a verb, something is done about them."""
    if click.get_current_context().invoked_subcommand is None:
        from tocsin.cli.hosts import list_hosts

        sys.exit(list_hosts(where))


@reads
@hosts.command()
@click.argument("host")
def release(host: str, **where: str | None) -> None:
    """Put HOST back into the pool, from quarantine."""
    from tocsin.cli.hosts import act_on_host

    sys.exit(act_on_host(where, "release", host))


@reads
@hosts.command()
@click.argument("host")
def forget(host: str, **where: str | None) -> None:
    """Let HOST join anew, with a new token: its credential is not good any more."""
    from tocsin.cli.hosts import act_on_host

    sys.exit(act_on_host(where, "forget", host))


@hosts.group(cls=Verbs)
def token() -> None:
    """Tokens by which hosts join."""


@reads
@token.command()
@click.option("--host", help="Only for this host. [default: any of the inventory]")
@click.option("--for", "for_s", type=Span(), default="1h", show_default=True, help="How long it is good.")
@click.option("--many", is_flag=True, help="Good for as many hosts as come; else for one.")
def create(host: str | None, for_s: float, many: bool, **where: str | None) -> None:
    """Make a token and print it. It is not told again."""
    from tocsin.cli.hosts import create_token

    sys.exit(create_token(where, host, for_s, once=not many))


@reads
@token.command(name="list")
def list_(**where: str | None) -> None:
    """The tokens that are good now."""
    from tocsin.cli.hosts import list_tokens

    sys.exit(list_tokens(where))


@reads
@token.command()
@click.argument("token_id")
def revoke(token_id: str, **where: str | None) -> None:
    """Make the token TOKEN_ID good for nothing. Hosts that joined with it stay."""
    from tocsin.cli.hosts import revoke_token

    sys.exit(revoke_token(where, token_id))
