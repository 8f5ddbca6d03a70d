"""SQS's names in the Query protocol, which its model lost when SQS moved to JSON (AWS, 2023); older clients use them.

The model is taught them as it is loaded: `queryName` on members, `locationName` on what lists and maps hold, which
JSON does not look at. The enums of attribute names go, for SQS answers an unknown one in words of its own.
"""

from typing import Any
from urllib.parse import unquote

LISTS = {
    "AWSAccountIdList": "AWSAccountId",
    "ActionNameList": "ActionName",
    "AttributeNameList": "AttributeName",
    "BatchResultErrorEntryList": "BatchResultErrorEntry",
    "BinaryList": "BinaryListValue",
    "ChangeMessageVisibilityBatchRequestEntryList": "ChangeMessageVisibilityBatchRequestEntry",
    "ChangeMessageVisibilityBatchResultEntryList": "ChangeMessageVisibilityBatchResultEntry",
    "DeleteMessageBatchRequestEntryList": "DeleteMessageBatchRequestEntry",
    "DeleteMessageBatchResultEntryList": "DeleteMessageBatchResultEntry",
    "ListMessageMoveTasksResultEntryList": "ListMessageMoveTasksResultEntry",
    "MessageAttributeNameList": "MessageAttributeName",
    "MessageList": "Message",
    "MessageSystemAttributeList": "MessageSystemAttributeName",
    "QueueUrlList": "QueueUrl",
    "SendMessageBatchRequestEntryList": "SendMessageBatchRequestEntry",
    "SendMessageBatchResultEntryList": "SendMessageBatchResultEntry",
    "StringList": "StringListValue",
    "TagKeyList": "TagKey",
}
# map -> (its member's name, its keys', its values')
MAPS = {
    "MessageBodyAttributeMap": ("MessageAttribute", "Name", "Value"),
    "MessageBodySystemAttributeMap": ("MessageSystemAttribute", "Name", "Value"),
    "MessageSystemAttributeMap": ("Attribute", "Name", "Value"),
    "QueueAttributeMap": ("Attribute", "Name", "Value"),
    "TagMap": ("Tag", "Key", "Value"),
}
OPEN_ENUMS = ("QueueAttributeName", "MessageSystemAttributeName", "MessageSystemAttributeNameForSends")


def taught(model: dict[str, Any]) -> dict[str, Any]:
    """The model of sqs with the names it had. Changes it in place."""
    shapes = model["shapes"]
    for name, item in LISTS.items():
        if name in shapes:
            shapes[name]["member"]["locationName"] = item
    for name, (_, key, value) in MAPS.items():
        if name in shapes:
            shapes[name]["key"]["locationName"] = key
            shapes[name]["value"]["locationName"] = value
    for shape in shapes.values():
        for member in shape.get("members", {}).values():
            if member["shape"] in MAPS:
                member["queryName"] = MAPS[member["shape"]][0]
    for name in OPEN_ENUMS:
        shapes.get(name, {}).pop("enum", None)
    return model


def addressed(members: dict[str, Any], path: str) -> dict[str, Any]:
    """A request to /<account>/<name> that names no QueueUrl means the queue it was sent to."""
    if "QueueUrl" not in members and path.strip("/").count("/") == 1:
        return {**members, "QueueUrl": unquote(path)}
    return members
