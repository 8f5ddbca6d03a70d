"""Tags of a resource, whichever service it belongs to, kept under the resource's ARN."""

from typing import ClassVar

from msgspec import field

from tocsin.model.records import Record


class Tags(Record, frozen=True, kw_only=True):
    kind: ClassVar[str] = "tags"

    arn: str
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.arn
