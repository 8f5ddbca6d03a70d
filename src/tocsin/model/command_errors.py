"""SSM's errors, under its codes. Where AWS answers a code without a word, the text here is ours."""

from tocsin.model.errors import AwsError


class CommandError(AwsError):
    """What SSM itself refuses."""


class InvalidInstanceId(CommandError):
    code = "InvalidInstanceId"


class DuplicateInstanceId(CommandError):
    code = "DuplicateInstanceId"


class InvalidDocument(CommandError):
    code = "InvalidDocument"


class InvalidDocumentVersion(CommandError):
    code = "InvalidDocumentVersion"


class InvalidDocumentContent(CommandError):
    code = "InvalidDocumentContent"


class InvalidDocumentSchemaVersion(CommandError):
    code = "InvalidDocumentSchemaVersion"


class InvalidDocumentOperation(CommandError):
    code = "InvalidDocumentOperation"


class DocumentAlreadyExists(CommandError):
    code = "DocumentAlreadyExists"


class DocumentLimitExceeded(CommandError):
    code = "DocumentLimitExceeded"


class DocumentVersionLimitExceeded(CommandError):
    code = "DocumentVersionLimitExceeded"


class DuplicateDocumentContent(CommandError):
    code = "DuplicateDocumentContent"


class DuplicateDocumentVersionName(CommandError):
    code = "DuplicateDocumentVersionName"


class MaxDocumentSizeExceeded(CommandError):
    code = "MaxDocumentSizeExceeded"


class InvalidParameters(CommandError):
    code = "InvalidParameters"


class UnsupportedPlatformType(CommandError):
    code = "UnsupportedPlatformType"


class InvalidOutputFolder(CommandError):
    code = "InvalidOutputFolder"


class InvalidNotificationConfig(CommandError):
    code = "InvalidNotificationConfig"


class InvalidCommandId(CommandError):
    code = "InvalidCommandId"


class InvocationDoesNotExist(CommandError):
    code = "InvocationDoesNotExist"


class InvalidPluginName(CommandError):
    code = "InvalidPluginName"


class InvalidFilterKey(CommandError):
    code = "InvalidFilterKey"


class InvalidNextToken(CommandError):
    code = "InvalidNextToken"


class InvalidResourceId(CommandError):
    code = "InvalidResourceId"


class InvalidResourceType(CommandError):
    code = "InvalidResourceType"


class TooManyTags(CommandError):
    code = "TooManyTagsError"
