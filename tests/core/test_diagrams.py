"""The diagrams of statuses in the documentation are drawn from the law. `--rewrite-transcripts` draws them anew."""

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from tocsin.core.lifecycle import CLUSTER_MOVES, CONTINUOUS_CLUSTER_MOVES, GROUP_MOVES, NODE_MOVES

PAGE = Path(__file__).parents[2] / "docs" / "clusters.md"
TABLES: dict[str, Mapping[Any, frozenset[Any]]] = {
    "clusters, default": CLUSTER_MOVES,
    "clusters, continuous": CONTINUOUS_CLUSTER_MOVES,
    "groups": GROUP_MOVES,
    "nodes": NODE_MOVES,
}


def drawn(table: Mapping[StrEnum | None, frozenset[StrEnum | None]]) -> str:
    """A state diagram: `[*]` is what is not there yet, or not any more. Moves in the order of the statuses."""
    ranks = {status: rank for rank, status in enumerate(table)}
    moves = [
        f"    {before or '[*]'} --> {after or '[*]'}"
        for before, allowed in table.items()
        for after in sorted(allowed, key=lambda status: ranks[status])
    ]
    return "\n".join(["```mermaid", "stateDiagram-v2", *moves, "```"])


@pytest.mark.parametrize("name", TABLES)
def test_the_diagram_shows_the_law(name: str, rewrite_transcripts: bool) -> None:
    page = PAGE.read_text()
    place = re.compile(rf"(<!-- statuses: {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    assert len(place.findall(page)) == 1
    expected = place.sub(lambda found: f"{found[1]}\n{drawn(TABLES[name])}\n\n{found[2]}", page)
    if rewrite_transcripts:
        PAGE.write_text(expected)
    assert page == expected, "draw it anew with --rewrite-transcripts"
