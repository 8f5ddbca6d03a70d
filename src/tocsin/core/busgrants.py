"""Whether a rule of another account may send to an event bus, by the bus's resource policy, and what would let it.

The bus target asks before it delivers, `tocsin rule explain` to say what is missing.
"""

from tocsin.core.access import Wish, allowed
from tocsin.model.names import bus_of, split_arn

ACTION = "events:PutEvents"


def may_send(policy: str, rule_arn: str, bus_arn: str) -> bool:
    """`policy` is the bus's; an account's own rules need none."""
    split, place = split_arn(rule_arn), bus_of(bus_arn)
    assert split is not None, "every rule has an ARN"
    assert place is not None, "the target is a bus"
    account = split[1].account
    if place[0].account == account:
        return True
    facts = {"aws:SourceArn": rule_arn, "aws:SourceAccount": account, "aws:PrincipalAccount": account}
    return allowed([policy], Wish((), ACTION, bus_arn, facts, account))


def needed_permission(account: str, bus: str) -> str:
    """The command that lets the account in, for whoever owns the bus."""
    return (
        f"aws events put-permission --event-bus-name {bus} --statement-id from-{account} --action {ACTION} "
        f"--principal {account}"
    )
