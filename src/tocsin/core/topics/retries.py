"""Delivery policies: how often, and after how long, a delivery over HTTP is tried again.

Four phases, as AWS has them: at once, after the least delay, growing from the least to the most, after the most.
Names, defaults and bounds are SNS's (botocore, sns: DeliveryPolicy).
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from tocsin.model.topic import Subscription, Topic
from tocsin.model.topic_errors import InvalidParameter

RETRIES_MOST = 100
DELAY_S_MOST = 3_600
CONTENT_TYPE = "text/plain; charset=UTF-8"
DEFAULTS: dict[str, Any] = {
    "minDelayTarget": 20,
    "maxDelayTarget": 20,
    "numRetries": 3,
    "numMaxDelayRetries": 0,
    "numNoDelayRetries": 0,
    "numMinDelayRetries": 0,
    "backoffFunction": "linear",
}
# How far, from 0 to 1, the delay has grown after a share of the growing phase.
GROWTH: dict[str, Callable[[float], float]] = {
    "linear": lambda share: share,
    "arithmetic": lambda share: share * (share + 1) / 2,
    "geometric": lambda share: share**2,
    "exponential": lambda share: (2 ** (8 * share) - 1) / (2**8 - 1),
}


class RetrySchedule(Struct, frozen=True, kw_only=True):
    """How one subscription's deliveries are tried. `per_second_max` 0: as fast as it goes."""

    retries: int
    at_once: int
    at_least: int
    at_most: int
    least_s: int
    most_s: int
    backoff: str
    per_second_max: float = 0
    content_type: str = CONTENT_TYPE

    def delay_s(self, retry: int) -> float:
        """Seconds before retry number `retry`, counted from 0."""
        if retry < self.at_once:
            return 0.0
        if retry < self.at_once + self.at_least:
            return float(self.least_s)
        growing = self.retries - self.at_once - self.at_least - self.at_most
        step = retry - self.at_once - self.at_least + 1
        if step > growing:
            return float(self.most_s)
        return self.least_s + (self.most_s - self.least_s) * GROWTH[self.backoff](step / growing)


def check_delivery(text: str) -> None:
    """A subscription's DeliveryPolicy. Raises InvalidParameter."""
    policy = _object(text)
    _only(policy, {"healthyRetryPolicy", "throttlePolicy", "requestPolicy", "sicklyRetryPolicy", "guaranteed"})
    _check_parts(policy.get("healthyRetryPolicy"), policy.get("throttlePolicy"), policy.get("requestPolicy"))


def check_topic_delivery(text: str) -> None:
    """A topic's DeliveryPolicy, which keeps the same under `http`. Raises InvalidParameter."""
    policy = _object(text)
    _only(policy, {"http"})
    http = policy.get("http", {})
    if not isinstance(http, dict):
        raise InvalidParameter("DeliveryPolicy: http must be an object")
    known = {
        "defaultHealthyRetryPolicy",
        "defaultThrottlePolicy",
        "defaultRequestPolicy",
        "disableSubscriptionOverrides",
        "defaultSicklyRetryPolicy",
    }
    _only(http, known)
    parts = ("defaultHealthyRetryPolicy", "defaultThrottlePolicy", "defaultRequestPolicy")
    _check_parts(*(http.get(part) for part in parts))


def retry_schedule(topic: Topic, subscription: Subscription) -> RetrySchedule:
    """The subscription's own policy where it has one and may, else the topic's, else SNS's."""
    http = json.loads(topic.attributes.get("DeliveryPolicy") or "{}").get("http") or {}
    own = json.loads(subscription.attributes.get("DeliveryPolicy") or "{}")
    if http.get("disableSubscriptionOverrides"):
        own = {}
    retry = DEFAULTS | (own.get("healthyRetryPolicy") or http.get("defaultHealthyRetryPolicy") or {})
    throttle = own.get("throttlePolicy") or http.get("defaultThrottlePolicy") or {}
    request = own.get("requestPolicy") or http.get("defaultRequestPolicy") or {}
    return RetrySchedule(
        retries=retry["numRetries"],
        at_once=retry["numNoDelayRetries"],
        at_least=retry["numMinDelayRetries"],
        at_most=retry["numMaxDelayRetries"],
        least_s=retry["minDelayTarget"],
        most_s=retry["maxDelayTarget"],
        backoff=retry["backoffFunction"],
        per_second_max=throttle.get("maxReceivesPerSecond") or 0,
        content_type=request.get("headerContentType") or CONTENT_TYPE,
    )


def effective_topic_delivery(topic: Topic) -> str:
    http = json.loads(topic.attributes.get("DeliveryPolicy") or "{}").get("http") or {}
    filled = {
        "defaultHealthyRetryPolicy": DEFAULTS | (http.get("defaultHealthyRetryPolicy") or {}),
        "disableSubscriptionOverrides": bool(http.get("disableSubscriptionOverrides")),
        **({"defaultThrottlePolicy": http["defaultThrottlePolicy"]} if http.get("defaultThrottlePolicy") else {}),
        "defaultRequestPolicy": {"headerContentType": CONTENT_TYPE, **(http.get("defaultRequestPolicy") or {})},
    }
    return json.dumps({"http": filled}, separators=(",", ":"))


def effective_delivery(topic: Topic, subscription: Subscription) -> str:
    schedule = retry_schedule(topic, subscription)
    filled = {
        "healthyRetryPolicy": {
            "minDelayTarget": schedule.least_s,
            "maxDelayTarget": schedule.most_s,
            "numRetries": schedule.retries,
            "numMaxDelayRetries": schedule.at_most,
            "numNoDelayRetries": schedule.at_once,
            "numMinDelayRetries": schedule.at_least,
            "backoffFunction": schedule.backoff,
        },
        "sicklyRetryPolicy": None,
        "throttlePolicy": {"maxReceivesPerSecond": schedule.per_second_max} if schedule.per_second_max else None,
        "requestPolicy": {"headerContentType": schedule.content_type},
        "guaranteed": False,
    }
    return json.dumps(filled, separators=(",", ":"))


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InvalidParameter("DeliveryPolicy: failed to parse JSON.")
    return found


def _only(given: Mapping[str, Any], known: set[str]) -> None:
    for name in given:
        if name not in known:
            raise InvalidParameter(f"DeliveryPolicy: Unexpected JSON member: {name}")


def _check_parts(retry: Any, throttle: Any, request: Any) -> None:
    for part in (retry, throttle, request):
        if part is not None and not isinstance(part, dict):
            raise InvalidParameter("DeliveryPolicy: a policy must be an object")
    if retry:
        _check_retry(retry)
    rate = (throttle or {}).get("maxReceivesPerSecond")
    if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int | float) or rate < 1):
        raise InvalidParameter("DeliveryPolicy: throttlePolicy.maxReceivesPerSecond must be greater than or equal to 1")
    content = (request or {}).get("headerContentType", CONTENT_TYPE)
    if not isinstance(content, str) or not content.isprintable():
        raise InvalidParameter("DeliveryPolicy: requestPolicy.headerContentType must be a media type")


def _check_retry(given: dict[str, Any]) -> None:
    _only(given, set(DEFAULTS))
    policy = DEFAULTS | given
    if "minDelayTarget" in given and "maxDelayTarget" not in given:
        policy["maxDelayTarget"] = max(policy["minDelayTarget"], DEFAULTS["maxDelayTarget"])
    for name, value in policy.items():
        most = DELAY_S_MOST if name.endswith("DelayTarget") else RETRIES_MOST
        least = 1 if name.endswith("DelayTarget") else 0
        if name == "backoffFunction":
            if value not in GROWTH:
                raise InvalidParameter(f"DeliveryPolicy: healthyRetryPolicy.{name} must be one of {', '.join(GROWTH)}")
        elif isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise InvalidParameter(f"DeliveryPolicy: healthyRetryPolicy.{name} must be from {least} to {most}")
    if policy["minDelayTarget"] > policy["maxDelayTarget"]:
        raise InvalidParameter(
            "DeliveryPolicy: healthyRetryPolicy.maxDelayTarget must be greater than or equal to minDelayTarget"
        )
    phases = policy["numNoDelayRetries"] + policy["numMinDelayRetries"] + policy["numMaxDelayRetries"]
    if phases > policy["numRetries"]:
        raise InvalidParameter(
            "DeliveryPolicy: healthyRetryPolicy.numRetries must be greater than or equal to the sum of "
            "numNoDelayRetries, numMinDelayRetries and numMaxDelayRetries"
        )
