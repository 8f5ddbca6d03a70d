"""The SQL of this package, from its .sql files: named queries, and the migrations in their order."""

import re
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def _named(text: str) -> dict[str, str]:
    """Queries by name. What stands before the first name is the file's own comment."""
    parts = _NAME.split(text)[1:]
    queries = {name: body.strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}
    assert len(queries) * 2 == len(parts), "two queries share a name"
    return queries


def _migrations() -> list[tuple[int, str]]:
    """(version, SQL) of each migration, in order. Versions count from 1 without a gap."""
    folder = files(__package__).joinpath("migrations")
    found = sorted((entry.name, entry.read_text("utf-8")) for entry in folder.iterdir() if entry.name.endswith(".sql"))
    numbered = [(int(name.split("_")[0]), text) for name, text in found]
    assert [number for number, _ in numbered] == list(range(1, len(numbered) + 1)), "a migration is missing"
    return numbered


SQL = _named(files(__package__).joinpath("queries.sql").read_text("utf-8"))
MIGRATIONS = _migrations()
