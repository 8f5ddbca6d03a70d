"""CloudWatch Logs' operations, and what all of them share: conflicts tried again, and told in this service's words."""

from collections.abc import Mapping
from typing import Any

from tocsin.doors.door import Context, Door, Handler, decided
from tocsin.doors.logs.groups import Groups
from tocsin.doors.logs.policies import Policies
from tocsin.doors.logs.reading import Reading
from tocsin.doors.logs.search import Search
from tocsin.doors.logs.streams import Streams
from tocsin.doors.logs.tagging import Tagging
from tocsin.doors.logs.writing import Writing
from tocsin.model.errors import ConcurrentModification, OperationAborted, ServiceUnavailable, StoreUnavailable
from tocsin.ports import Store

# The operations whose model knows no OperationAbortedException; clients retry a ServiceUnavailable by themselves.
NEVER_ABORTED = frozenset(
    {
        "CreateLogStream",
        "PutLogEvents",
        "TagResource",
        "UntagResource",
        "TagLogGroup",
        "UntagLogGroup",
    }
)


def logs_door(store: Store) -> Door:
    groups, streams, tagging, policies = Groups(store), Streams(store), Tagging(store), Policies(store)
    operations: dict[str, Handler] = {
        "CreateLogGroup": groups.create,
        "DeleteLogGroup": groups.delete,
        "DescribeLogGroups": groups.describe,
        "PutRetentionPolicy": groups.put_retention,
        "DeleteRetentionPolicy": groups.delete_retention,
        "PutLogGroupDeletionProtection": groups.put_deletion_protection,
        "CreateLogStream": streams.create,
        "DeleteLogStream": streams.delete,
        "DescribeLogStreams": streams.describe,
        "PutLogEvents": Writing(store).put,
        "GetLogEvents": Reading(store).get,
        "FilterLogEvents": Search(store).filter,
        "PutResourcePolicy": policies.put,
        "DeleteResourcePolicy": policies.delete,
        "DescribeResourcePolicies": policies.describe,
        "TagResource": tagging.tag,
        "UntagResource": tagging.untag,
        "ListTagsForResource": tagging.list,
        "TagLogGroup": tagging.tag_group,
        "UntagLogGroup": tagging.untag_group,
        "ListTagsLogGroup": tagging.list_group,
    }
    return Door(service="logs", operations={name: settled(name, handler) for name, handler in operations.items()})


def settled(name: str, handler: Handler) -> Handler:
    """The handler, run again from its first read when another writer was faster."""

    async def settle(context: Context, request: dict[str, Any]) -> Mapping[str, Any]:
        try:
            return await decided(lambda: handler(context, request))
        except ConcurrentModification as lost:
            if name in NEVER_ABORTED:
                raise ServiceUnavailable("The service cannot complete the request.") from lost
            raise OperationAborted(
                "A conflicting operation is currently in progress against this resource. Please try again."
            ) from lost
        except StoreUnavailable as closed:
            raise ServiceUnavailable("The service cannot complete the request.") from closed

    return settle
