"""JSON patches: the cases of RFC 6902's appendix A, in our words, and laws."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.core.cloud.patch import OPERATIONS_MAX, loaded, patched, same
from tocsin.model.errors import InvalidRequest

# (document, operations, document after)
CASES: list[tuple[Any, list[dict[str, Any]], Any]] = [
    ({"a": 1}, [], {"a": 1}),
    ({"a": 1}, [{"op": "add", "path": "/b", "value": 2}], {"a": 1, "b": 2}),
    ({"a": 1}, [{"op": "add", "path": "/a", "value": 2}], {"a": 2}),
    ({"a": [1, 3]}, [{"op": "add", "path": "/a/1", "value": 2}], {"a": [1, 2, 3]}),
    ({"a": [1]}, [{"op": "add", "path": "/a/1", "value": 2}], {"a": [1, 2]}),
    ({"a": [1]}, [{"op": "add", "path": "/a/-", "value": [2]}], {"a": [1, [2]]}),
    ({"a": 1}, [{"op": "add", "path": "", "value": {"b": 2}}], {"b": 2}),
    ({"a": 1}, [{"op": "add", "path": "/", "value": 2}], {"a": 1, "": 2}),
    ({"a": 1, "b": 2}, [{"op": "remove", "path": "/b"}], {"a": 1}),
    ({"a": [1, 2, 3]}, [{"op": "remove", "path": "/a/1"}], {"a": [1, 3]}),
    ({"a": 1}, [{"op": "replace", "path": "/a", "value": None}], {"a": None}),
    ({"a": [1, 2]}, [{"op": "replace", "path": "/a/0", "value": 9}], {"a": [9, 2]}),
    ({"a": 1}, [{"op": "replace", "path": "", "value": []}], []),
    ({"a": {"x": 1}, "b": {}}, [{"op": "move", "from": "/a/x", "path": "/b/y"}], {"a": {}, "b": {"y": 1}}),
    ({"a": [1, 2, 3]}, [{"op": "move", "from": "/a/0", "path": "/a/2"}], {"a": [2, 3, 1]}),
    ({"a": 1}, [{"op": "move", "from": "/a", "path": "/a"}], {"a": 1}),
    ({"a": {"x": [1]}}, [{"op": "copy", "from": "/a", "path": "/b"}], {"a": {"x": [1]}, "b": {"x": [1]}}),
    ({"a": [1, "x", {"y": None}]}, [{"op": "test", "path": "/a", "value": [1.0, "x", {"y": None}]}], None),
    ({"~": 1, "/": 2}, [{"op": "test", "path": "/~0", "value": 1}, {"op": "remove", "path": "/~1"}], {"~": 1}),
    ({"~1": 1}, [{"op": "remove", "path": "/~01"}], {}),
    ({"0": 1}, [{"op": "remove", "path": "/0"}], {}),
]


@pytest.mark.parametrize(("document", "operations", "after"), CASES)
def test_a_patch_does_what_the_rfc_says(document: Any, operations: list[dict[str, Any]], after: Any) -> None:
    before = copy.deepcopy(document)
    assert patched(document, operations) == (before if after is None else after)
    assert document == before


# (operation, what the refusal names), on {"a": [1, 2], "b": {"c": true}}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"op": "add", "path": "/x/y", "value": 1}, "no such path"),
    ({"op": "add", "path": "/a/3", "value": 1}, "no such path"),
    ({"op": "add", "path": "/a/01", "value": 1}, "no such path"),
    ({"op": "add", "path": "/a/x", "value": 1}, "no such path"),
    ({"op": "add", "path": "/b/c/d", "value": 1}, "no such path"),
    ({"op": "add", "path": "/z"}, "value is missing"),
    ({"op": "add", "path": "z", "value": 1}, "not a JSON pointer"),
    ({"op": "add", "path": 1, "value": 1}, "not a JSON pointer"),
    ({"op": "add", "value": 1}, "path is missing"),
    ({"op": "remove", "path": "/x"}, "no such path"),
    ({"op": "remove", "path": "/a/-"}, "no such path"),
    ({"op": "remove", "path": "/a/2"}, "no such path"),
    ({"op": "remove", "path": ""}, "whole document"),
    ({"op": "replace", "path": "/x", "value": 1}, "no such path"),
    ({"op": "replace", "path": "/a/2", "value": 1}, "no such path"),
    ({"op": "move", "from": "/b", "path": "/b/c/d"}, "into itself"),
    ({"op": "move", "from": "/x", "path": "/y"}, "no such path"),
    ({"op": "move", "path": "/y"}, "from is missing"),
    ({"op": "copy", "from": "/x", "path": "/y"}, "no such path"),
    ({"op": "test", "path": "/b/c", "value": 1}, "another than the test asks for"),
    ({"op": "test", "path": "/a", "value": [2, 1]}, "another than the test asks for"),
    ({"op": "merge", "path": "/a"}, "op must be one of"),
    ({"path": "/a"}, "op must be one of"),
]


@pytest.mark.parametrize(("operation", "text"), WRONG)
def test_a_wrong_operation_is_refused_and_named(operation: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidRequest, match="Invalid patch update") as refused:
        patched({"a": [1, 2], "b": {"c": True}}, [operation])
    assert text in refused.value.message


@pytest.mark.parametrize(
    "text",
    ["nonsense", "{}", "[1]", "[NaN]", "[" * 100_000, "[" * 200 + "]" * 200, json.dumps([{}] * (OPERATIONS_MAX + 1))],
)
def test_what_is_no_patch_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        loaded(text)


def test_copies_cannot_grow_without_end() -> None:
    doubling = [{"op": "copy", "from": "", "path": f"/{n}"} for n in range(60)]
    with pytest.raises(InvalidRequest, match="grows"):
        patched({"a": "x"}, doubling)


def test_patches_cannot_nest_without_end() -> None:
    deeper = [{"op": "add", "path": "/a" * n, "value": {"a": {}}} for n in range(1, 200)]
    with pytest.raises(InvalidRequest, match="nested"):
        patched({"a": {}}, deeper)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=4), st.text(max_size=3), JSON)
def test_what_is_added_and_removed_again_leaves_no_trace(document: dict[str, Any], name: str, value: Any) -> None:
    path = "/" + name.replace("~", "~0").replace("/", "~1")
    added = {"op": "add", "path": path, "value": value}
    after = patched(document, [added, {"op": "test", "path": path, "value": value}])
    assert same(after[name], value)
    bare = {key: one for key, one in document.items() if key != name}
    assert same(patched(after, [{"op": "remove", "path": path}]), bare)
