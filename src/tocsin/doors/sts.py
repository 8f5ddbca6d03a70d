"""STS: GetCallerIdentity, which tools call first to see whether they reach anything."""

from typing import Any

from tocsin.doors.door import Context, Door


def sts_door() -> Door:
    return Door(service="sts", operations={"GetCallerIdentity": _get_caller_identity})


async def _get_caller_identity(context: Context, _request: dict[str, Any]) -> dict[str, Any]:
    account = context.scope.account
    return {"UserId": context.access_key or account, "Account": account, "Arn": f"arn:aws:iam::{account}:root"}
