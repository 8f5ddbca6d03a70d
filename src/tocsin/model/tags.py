"""Tags of a resource, whichever service it belongs to, kept under the resource's ARN; and which a resource may have."""

from typing import ClassVar

from msgspec import field

from tocsin.model.errors import AwsError
from tocsin.model.records import Record

# "Each resource can have up to 50 tags" (AWS, tagging).
TAGS_MAX = 50
# Keys that begin with it, in any case, are AWS's own (AWS, tagging), and what its services say of them.
RESERVED = "aws:"
RESERVED_SAID = "aws: prefixed tag key names are not allowed for external use."


class Tags(Record, frozen=True, kw_only=True):
    kind: ClassVar[str] = "tags"

    arn: str
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.arn


def checked_tags(tags: dict[str, str], *, many: AwsError, reserved: AwsError) -> dict[str, str]:
    """The tags, where a resource may have them. Else raises `many` or `reserved`, which are the service's own."""
    if any(key.lower().startswith(RESERVED) for key in tags):
        raise reserved
    if len(tags) > TAGS_MAX:
        raise many
    return tags
