"""Whether another account may put events on an event bus, by the bus's resource policy, and what would let it.

PutEvents asks, the bus target before it delivers, and `tocsin rule explain` to say what is missing.
"""

from tocsin.core.access import Wish, allowed
from tocsin.model.names import bus_of, split_arn

ACTION = "events:PutEvents"


def may_put(policy: str, account: str, bus_arn: str) -> bool:
    """`policy` is the bus's; its own account needs none."""
    place = bus_of(bus_arn)
    assert place is not None, "the ARN is a bus's"
    if place[0].account == account:
        return True
    facts = {"aws:SourceAccount": account, "aws:PrincipalAccount": account}
    return allowed([policy], Wish((), ACTION, bus_arn, facts, account))


def may_send(policy: str, rule_arn: str, bus_arn: str) -> bool:
    """Likewise, for a rule that has the bus as its target."""
    split = split_arn(rule_arn)
    assert split is not None, "every rule has an ARN"
    return may_put(policy, split[1].account, bus_arn)


def needed_permission(account: str, bus: str) -> str:
    """The command that lets the account in, for whoever owns the bus."""
    return (
        f"aws events put-permission --event-bus-name {bus} --statement-id from-{account} --action {ACTION} "
        f"--principal {account}"
    )
