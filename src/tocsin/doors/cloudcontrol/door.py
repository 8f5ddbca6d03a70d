"""Cloud Control's operations: resources made, changed and deleted by requests, read and listed at once.

What a type of resource needs is a row in kinds.py; how requests live is in requests.py; what anything means is decided
in core/cloud. The services behind are called through their own doors.
"""

import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from msgspec.structs import replace

from tocsin.core.cloud.mapping import differing
from tocsin.core.cloud.patch import loaded, parsed, patched
from tocsin.core.cloud.progress import IN_PROGRESS, SUCCESS, digest_of, drawn_name, failed, refused
from tocsin.core.cloud.schema import check_update, check_wanted, without_read_only
from tocsin.core.cloud.told import told
from tocsin.doors.cloudcontrol.asking import Asking, Services
from tocsin.doors.cloudcontrol.kind import Kind
from tocsin.doors.cloudcontrol.kinds import kind_of
from tocsin.doors.cloudcontrol.requests import Requests, Wanted
from tocsin.doors.door import Context, Door
from tocsin.doors.paging import page
from tocsin.model.cloud import Operation, ResourceRequest
from tocsin.model.errors import AwsError, InvalidRequest

PAGE_MAX = 100
# Tokens are base64 for URLs; this service's model allows the plain alphabet only.
_PLAIN = str.maketrans("-_", "+/")
_FOR_URLS = str.maketrans("+/", "-_")

# What an operation came to: the resource's identifier, whether it goes on, what was sent of the resource.
Done = tuple[str, bool, dict[str, Any] | None]


def cloudcontrol_door(requests: Requests, doors: Iterable[Door]) -> Door:
    """`doors` are those of the services whose things are made here."""
    desk = _CloudControl(requests, Services(doors))
    return Door(
        service="cloudcontrol",
        operations={
            "CreateResource": desk.create,
            "GetResource": desk.get,
            "UpdateResource": desk.update,
            "DeleteResource": desk.delete,
            "ListResources": desk.list,
            "GetResourceRequestStatus": desk.status,
            "ListResourceRequests": desk.list_requests,
            "CancelResourceRequest": desk.cancel,
        },
    )


class _CloudControl:
    def __init__(self, requests: Requests, services: Services) -> None:
        self._requests = requests
        self._services = services

    async def create(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        kind, ask = kind_of(request["TypeName"], "CREATE"), Asking(self._services, context)
        model = _model(request["DesiredState"], "DesiredState")
        check_wanted(kind.schema, model)
        wanted = self._wanted(context, request, Operation.CREATE, request["DesiredState"])
        whole = {kind.schema.named: drawn_name(model, wanted.token)} | model

        async def act() -> Done:
            return await kind.create(ask, whole), kind.standing is not None, whole

        return await self._carry(context, kind, wanted, str(whole[kind.schema.named]), act)

    async def update(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        kind, ask = kind_of(request["TypeName"], "UPDATE"), Asking(self._services, context)
        wanted = self._wanted(context, request, Operation.UPDATE, request["Identifier"], request["PatchDocument"])
        if known := await self._requests.known(context, wanted.token, wanted.digest):
            return await self._event(ask, known)
        identifier, before = await self._read(kind, ask, _asked(kind, request))
        operations = loaded(request["PatchDocument"])
        after = patched(before, operations)
        if not isinstance(after, dict):
            raise InvalidRequest("Invalid patch update: the resource's properties are not an object any more")
        check_update(kind.schema, before, after, operations)

        async def act() -> Done:
            goes_on = await kind.update(ask, identifier, before, after)
            return identifier, goes_on, without_read_only(kind.schema, after)

        return await self._carry(context, kind, replace(wanted, identifier=identifier), identifier, act)

    async def delete(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        kind, ask = kind_of(request["TypeName"], "DELETE"), Asking(self._services, context)
        wanted = self._wanted(context, request, Operation.DELETE, request["Identifier"])
        if known := await self._requests.known(context, wanted.token, wanted.digest):
            return await self._event(ask, known)
        identifier = await self._canonical(kind, ask, _asked(kind, request))

        async def act() -> Done:
            await kind.delete(ask, identifier)
            return identifier, kind.standing is not None, None

        return await self._carry(context, kind, replace(wanted, identifier=identifier), identifier, act)

    async def get(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        kind, ask = kind_of(request["TypeName"], "READ"), Asking(self._services, context)
        identifier, model = await self._read(kind, ask, _asked(kind, request))
        return {"TypeName": request["TypeName"], "ResourceDescription": _description(identifier, model)}

    async def list(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        """`ResourceModel` picks those that have the same properties."""
        kind, ask = kind_of(request["TypeName"], "LIST"), Asking(self._services, context)
        like = _model(request.get("ResourceModel") or "{}", "ResourceModel")
        taken, token = page(
            sorted(await kind.list(ask)),
            kind=f"ListResources/{request['TypeName']}",
            position=lambda one: [one],
            limit=request.get("MaxResults", PAGE_MAX),
            token=request.get("NextToken"),
            error=InvalidRequest,
        )
        found = [await self._seen(kind, ask, identifier) for identifier in taken]
        shown = [one for one in found if one and not differing(one[1], like, like)]
        return {
            "TypeName": request["TypeName"],
            "ResourceDescriptions": [_description(*one) for one in shown],
            "NextToken": token,
        }

    async def status(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        found = await self._requests.named(context, request["RequestToken"])
        return await self._event(Asking(self._services, context), found)

    async def list_requests(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        ask, asked = Asking(self._services, context), request.get("ResourceRequestStatusFilter") or {}
        found = [await self._requests.looked_at(ask, one) for one in await self._requests.all_of(context)]
        fitting = [
            one
            for one in found
            if one.operation in (asked.get("Operations") or [one.operation])
            and one.status in (asked.get("OperationStatuses") or [one.status])
        ]
        taken, token = page(
            fitting,
            kind="ListResourceRequests",
            position=lambda one: [-one.asked_ms, one.token],
            limit=request.get("MaxResults", PAGE_MAX),
            token=request["NextToken"].translate(_FOR_URLS) if "NextToken" in request else None,
        )
        return {
            "ResourceRequestStatusSummaries": [_progress(one) for one in taken],
            "NextToken": token and token.translate(_PLAIN),
        }

    async def cancel(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        found = await self._requests.named(context, request["RequestToken"])
        seen = await self._requests.looked_at(Asking(self._services, context), found)
        return {"ProgressEvent": _progress(await self._requests.cancel(seen))}

    def _wanted(self, context: Context, request: dict[str, Any], operation: Operation, *said: str) -> Wanted:
        return Wanted(
            type_name=request["TypeName"],
            operation=operation,
            token=self._requests.token(context, request),
            digest=digest_of(operation, request["TypeName"], *said),
        )

    async def _carry(
        self, context: Context, kind: Kind, wanted: Wanted, name: str, act: Callable[[], Awaitable[Done]]
    ) -> dict[str, Any]:
        """Record the request, do what it asks for, record what came of it. `name` is for the errors."""
        ask = Asking(self._services, context)
        request, fresh = await self._requests.begin(context, wanted, lambda one: self._requests.looked_at(ask, one))
        if not fresh:
            return await self._event(ask, request)
        try:
            identifier, goes_on, sent = await act()
        except AwsError as error:
            ended = await self._requests.end(
                request, failed(error, wanted.type_name, name), request.identifier, request.model
            )
            return {"ProgressEvent": _progress(ended)}
        except BaseException:
            self._requests.lost(request)
            raise
        model = await self._shown(kind, ask, identifier, sent) if sent is not None else {}
        ended = await self._requests.end(request, IN_PROGRESS if goes_on else SUCCESS, identifier, model, sent)
        return await self._event(ask, ended)  # what came to rest meanwhile does so unwatched

    async def _event(self, ask: Asking, request: ResourceRequest) -> dict[str, Any]:
        return {"ProgressEvent": _progress(await self._requests.looked_at(ask, request))}

    async def _read(self, kind: Kind, ask: Asking, asked: str) -> tuple[str, dict[str, Any]]:
        """The resource's own identifier, and its model. Raises ResourceNotFoundException and its like."""
        try:
            actual = await kind.read(ask, asked)
        except AwsError as error:
            raise refused(error, kind.schema.type_name, asked) from error
        identifier = str(actual[kind.schema.identifier])
        sent = await self._requests.sent(ask.scope, kind.schema.type_name, identifier)
        return identifier, told(kind.schema, actual, sent.properties or None)

    async def _seen(self, kind: Kind, ask: Asking, identifier: str) -> tuple[str, dict[str, Any]] | None:
        """The same of one that may be gone since it was listed."""
        try:
            return await self._read(kind, ask, identifier)
        except AwsError:
            return None

    async def _shown(self, kind: Kind, ask: Asking, identifier: str, sent: dict[str, Any]) -> dict[str, Any]:
        """The model of what was just made; what was asked for, when it is gone already."""
        try:
            return told(kind.schema, await kind.read(ask, identifier), sent)
        except AwsError:
            return sent

    async def _canonical(self, kind: Kind, ask: Asking, asked: str) -> str:
        found = await self._seen(kind, ask, asked)
        return found[0] if found else asked


def _model(text: str, member: str) -> dict[str, Any]:
    found = parsed(text, member)
    if not isinstance(found, dict):
        raise InvalidRequest(f"{member} must be a JSON object.")
    return found


def _asked(kind: Kind, request: dict[str, Any]) -> str:
    """The identifier that a request names, the primary one as it is or in JSON, others in JSON."""
    text = str(request["Identifier"])
    if not text.startswith("{"):
        return text
    named = _model(text, "Identifier")
    for name in (kind.schema.identifier, *kind.schema.others):
        if len(named) == 1 and isinstance(named.get(name), str):
            return str(named[name])
    raise InvalidRequest(f"Identifier {text} does not match the primary or an additional identifier of the type.")


def _description(identifier: str, model: dict[str, Any]) -> dict[str, Any]:
    return {"Identifier": identifier, "Properties": json.dumps(model)}


def _progress(request: ResourceRequest) -> dict[str, Any]:
    return {
        "TypeName": request.type_name,
        "Identifier": request.identifier or None,
        "RequestToken": request.token,
        "Operation": request.operation,
        "OperationStatus": request.status,
        "EventTime": request.asked_ms / 1000,
        "ResourceModel": json.dumps(request.model) if request.model else None,
        "StatusMessage": request.message or None,
        "ErrorCode": request.code or None,
    }
