"""Resource policies: documents that let AWS services write here. Kept and listed here; targets ask them."""

from typing import Any

import orjson

from tocsin.doors.door import Context
from tocsin.doors.logs.places import PAGE_MAX, position_in, token_of
from tocsin.model.changes import Delete, Put
from tocsin.model.errors import InvalidParameter, LimitExceeded, NotImplementedYet, ResourceNotFoundException
from tocsin.model.logs import LogPolicy
from tocsin.model.records import successor
from tocsin.ports import Store

# "An account can have a maximum of 10 policies without resourceARN" (AWS, PutResourcePolicy), per region.
POLICIES_MAX = 10

LISTING = "DescribeResourcePolicies"


class Policies:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        name, document = _named(request), request.get("policyDocument")
        if not document:
            raise InvalidParameter("policyDocument is required.")
        _check_document(document)
        old = await self._store.get(LogPolicy, context.scope, name)
        if old:
            policy = successor(old, document=document, updated_ms=context.now_ms)
        else:
            if len(await self._store.find(LogPolicy, context.scope, limit=POLICIES_MAX)) >= POLICIES_MAX:
                raise LimitExceeded("Resource limit exceeded.")
            policy = LogPolicy(scope=context.scope, name=name, document=document, updated_ms=context.now_ms)
        await self._store.commit(Put(policy))
        return {"resourcePolicy": _members(policy)}

    async def delete(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        name = _named(request)
        policy = await self._store.get(LogPolicy, context.scope, name)
        if policy is None:
            raise ResourceNotFoundException(f"Policy with name [{name}] does not exist")
        await self._store.commit(Delete(policy))
        return {}

    async def describe(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("policyScope") == "RESOURCE" or request.get("resourceArn"):
            return {"resourcePolicies": []}
        after = position_in(LISTING, request["nextToken"], tuple[str])[0] if request.get("nextToken") else ""
        limit = request.get("limit") or PAGE_MAX
        found = await self._store.find(LogPolicy, context.scope, after=after, limit=limit + 1)
        taken = found[:limit]
        return {
            "resourcePolicies": [_members(policy) for policy in taken],
            "nextToken": token_of(LISTING, taken[-1].name) if len(found) > limit else None,
        }


def _named(request: dict[str, Any]) -> str:
    if request.get("resourceArn"):
        raise NotImplementedYet("Resource policies of one log group (resourceArn) are not implemented in Tocsin yet.")
    name = request.get("policyName")
    if not name:
        raise InvalidParameter("policyName is required.")
    return str(name)


def _check_document(document: str) -> None:
    try:
        found = orjson.loads(document)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict) or "Statement" not in found:
        raise InvalidParameter("The policy document is not valid: it must be a JSON object with a Statement.")


def _members(policy: LogPolicy) -> dict[str, Any]:
    return {
        "policyName": policy.name,
        "policyDocument": policy.document,
        "lastUpdatedTime": policy.updated_ms,
        "policyScope": "ACCOUNT",
    }
