"""The AWS wire from the command line: an unmodified client of the service, as any user's."""

import os
from typing import Any

from tocsin.cli.show import Where

# Where nobody gives credentials or says whose account is meant: those of the server's own default.
ACCOUNT, REGION = "111122223333", "us-west-2"


def aws(where: Where, service: str) -> Any:
    """With the credentials of the environment, unless an account is named."""
    import boto3

    account = where.get("account")
    ours = account or not os.environ.get("AWS_ACCESS_KEY_ID")
    named = {"aws_access_key_id": account or ACCOUNT, "aws_secret_access_key": "unsigned"} if ours else {}
    region = where.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or REGION
    return boto3.client(service, endpoint_url=where["endpoint_url"], region_name=region, **named)
