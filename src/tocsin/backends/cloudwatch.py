"""Alarms of a CloudWatch behind an address: what the upstream serves, and we do not. The AlarmSource port."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from tocsin.model.alarm import AlarmState
from tocsin.model.names import Scope

CONNECT_TIMEOUT_S = 2.0
READ_TIMEOUT_S = 5.0
# "AlarmNames: max 100" (botocore, cloudwatch, DescribeAlarms).
NAMES_AT_ONCE_MAX = 100


class CloudWatchAlarms:
    """Asked with boto3's own credentials where it finds some, else with the account as the key."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._clients: dict[Scope, Any] = {}

    async def states(self, scope: Scope, names: Sequence[str]) -> Mapping[str, AlarmState]:
        """Of those that are there. Raises OSError."""
        return await asyncio.to_thread(self._states, scope, names)

    def _states(self, scope: Scope, names: Sequence[str]) -> Mapping[str, AlarmState]:
        from botocore.exceptions import BotoCoreError, ClientError

        found: dict[str, AlarmState] = {}
        try:
            client = self._client(scope)
            for at in range(0, len(names), NAMES_AT_ONCE_MAX):
                asked = list(names[at : at + NAMES_AT_ONCE_MAX])
                told = client.describe_alarms(AlarmNames=asked, AlarmTypes=["MetricAlarm", "CompositeAlarm"])
                for one in (*told.get("MetricAlarms", ()), *told.get("CompositeAlarms", ())):
                    found[one["AlarmName"]] = AlarmState(one["StateValue"])
        except (BotoCoreError, ClientError, KeyError, ValueError) as error:
            raise OSError(f"{self._endpoint}: {error}") from error
        return found

    def _client(self, scope: Scope) -> Any:
        import boto3  # here, not above: it takes longer to load than the rest of the server
        from botocore.config import Config

        if scope not in self._clients:
            keys = {}
            if boto3.session.Session().get_credentials() is None:
                keys = {"aws_access_key_id": scope.account, "aws_secret_access_key": scope.account}
            config = Config(
                connect_timeout=CONNECT_TIMEOUT_S, read_timeout=READ_TIMEOUT_S, retries={"total_max_attempts": 1}
            )
            self._clients[scope] = boto3.client(
                "cloudwatch", endpoint_url=self._endpoint, region_name=scope.region, config=config, **keys
            )
        return self._clients[scope]
