"""A control's text: what it means, what it may not be, and that it is read back as it was written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.core.noise import control_of, text_of
from tocsin.core.noise.control import DELIVERIES_MAX, PATHS_MAX, WINDOW_S_MAX, from_tags
from tocsin.model.errors import Validation
from tocsin.model.noise import Control, Deduplicate, OnChange, Throttle

names = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0189_-", min_size=1, max_size=8)
paths = st.lists(names, min_size=1, max_size=4).map(".".join)
keys = st.lists(paths, min_size=1, max_size=PATHS_MAX).map(tuple)
windows = st.integers(1, WINDOW_S_MAX)
controls = st.builds(
    Control,
    on_change=st.none() | st.builds(OnChange, paths, st.just(()) | keys),
    deduplicate=st.none() | st.builds(Deduplicate, keys, windows),
    throttle=st.none() | st.builds(Throttle, st.integers(1, DELIVERIES_MAX), windows),
).filter(lambda control: control != Control())


@given(controls)
def test_a_control_is_read_as_it_is_written(control: Control) -> None:
    assert control_of(text_of(control)) == control


def test_the_three_clauses_in_any_order() -> None:
    text = "throttle=10/1h deduplicate=$.detail.ClusterName+detail.list[0].id/90s on-change=detail.Status/detail.Id"
    assert control_of(text) == Control(
        on_change=OnChange("detail.Status", ("detail.Id",)),
        deduplicate=Deduplicate(("detail.ClusterName", "detail.list[0].id"), 90),
        throttle=Throttle(10, 3600),
    )
    assert control_of("on-change=detail.Status") == Control(on_change=OnChange("detail.Status"))


@pytest.mark.parametrize(
    "text",
    [
        *("", "  ", "quiet", "mute=1/5m", "throttle", "throttle=", "throttle=0/5m", "throttle=10", "throttle=10/5"),
        *("throttle=10/0s", "throttle=10/8d", "throttle=x/5m", "throttle=1000000/5m", "throttle=1/5m throttle=1/5m"),
        *("deduplicate=5m", "deduplicate=/5m", "deduplicate=a/", "deduplicate=a+/5m", "deduplicate=a..b/5m"),
        *("deduplicate=detail.*/5m", "on-change=", "on-change=/a", "on-change=a+b", "deduplicate=a b/5m"),
        "deduplicate=" + "+".join("abcdefghijk") + "/5m",
    ],
)
def test_what_is_no_control_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(Validation) as refused:
        control_of(text)
    assert len(refused.value.message) > 20


def test_the_tag_of_a_target_counts_before_that_of_its_rule() -> None:
    tags = {"tocsin:noise": "throttle=1/1m", "tocsin:noise:log": "throttle=2/1m", "tocsin:noise:loud": ""}
    assert from_tags(tags, "mail") == control_of("throttle=1/1m")
    assert from_tags(tags, "log") == control_of("throttle=2/1m")
    assert from_tags(tags, "loud") is None
    assert from_tags({}, "mail") is None
