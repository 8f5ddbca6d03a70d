"""What all batches share: how many entries, their ids, and an answer for each."""

import re
from collections.abc import Sequence
from typing import Any

from tocsin.model.queue_errors import (
    BatchEntryIdsNotDistinct,
    EmptyBatchRequest,
    InvalidBatchEntryId,
    QueueError,
    TooManyEntriesInBatchRequest,
)

ENTRIES_MOST = 10  # AWS, SendMessageBatch
ENTRY_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")


def entries_of(request: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """The entries. `kind` is what AWS calls one of them. Raises what AWS refuses a whole batch with."""
    entries: list[dict[str, Any]] = request["Entries"]
    if not entries:
        raise EmptyBatchRequest(f"There should be at least one {kind} in the request.")
    if len(entries) > ENTRIES_MOST:
        raise TooManyEntriesInBatchRequest(
            f"Maximum number of entries per request are {ENTRIES_MOST}. You have sent {len(entries)}."
        )
    seen: set[str] = set()
    for entry in entries:
        if not ENTRY_ID.fullmatch(entry["Id"]):
            raise InvalidBatchEntryId(
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "
                "It can be at most 80 letters long."
            )
        if entry["Id"] in seen:
            raise BatchEntryIdsNotDistinct(f"Id {entry['Id']} repeated.")
        seen.add(entry["Id"])
    return entries


def failed(entry: dict[str, Any], error: QueueError) -> dict[str, Any]:
    return {"Id": entry["Id"], "SenderFault": error.status < 500, "Code": error.code, "Message": error.message}


def outcome(entries: Sequence[dict[str, Any]], errors: Sequence[QueueError | None]) -> dict[str, Any]:
    """The answer where a success has nothing to tell but its id."""
    pairs = list(zip(entries, errors, strict=True))
    return {
        "Successful": [{"Id": entry["Id"]} for entry, error in pairs if error is None],
        "Failed": [failed(entry, error) for entry, error in pairs if error is not None],
    }
