"""SSM's operations for Run Command."""

from collections.abc import Callable

from tocsin.doors.door import Door
from tocsin.doors.ssm.documents import DocumentDesk
from tocsin.doors.ssm.instances import Instances
from tocsin.doors.ssm.library import Library
from tocsin.doors.ssm.listing import Listing
from tocsin.doors.ssm.reading import Reading
from tocsin.doors.ssm.sending import Sending
from tocsin.doors.ssm.tags import Tagging
from tocsin.model.link import Hello
from tocsin.ports import NodeLinks, Store
from tocsin.services.commands import CommandLimits, Commands, Documents
from tocsin.services.fleet import Fleet


def ssm_door(
    *,
    store: Store,
    fleet: Fleet,
    links: NodeLinks,
    hello: Callable[[str], Hello | None],
    commands: Commands,
    documents: Documents,
    limits: CommandLimits,
) -> Door:
    sending, reading, listing = Sending(commands), Reading(store), Listing(store, commands)
    desk, library = DocumentDesk(store, documents, limits), Library(store, documents)
    instances, tagging = Instances(fleet, links, hello), Tagging(store, documents)
    return Door(
        service="ssm",
        part=True,  # Parameter Store and the other hundred have their own state
        operations={
            "SendCommand": sending.send,
            "CancelCommand": sending.cancel,
            "ListCommands": listing.commands,
            "ListCommandInvocations": listing.invocations,
            "GetCommandInvocation": reading.invocation,
            "DescribeInstanceInformation": instances.describe,
            "CreateDocument": desk.create,
            "UpdateDocument": desk.update,
            "UpdateDocumentDefaultVersion": desk.choose,
            "DeleteDocument": desk.delete,
            "GetDocument": library.get,
            "DescribeDocument": library.describe,
            "ListDocuments": library.documents,
            "ListDocumentVersions": library.versions,
            "AddTagsToResource": tagging.add,
            "RemoveTagsFromResource": tagging.remove,
            "ListTagsForResource": tagging.list,
        },
    )
