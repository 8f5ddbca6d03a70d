"""Make docs/demo.svg, the picture in the README: what `tocsin demo` prints, drawn as a dark terminal.

    python tools/demo_picture.py            # plays the demo
    python tools/demo_picture.py RECORDED   # or takes its output with colours: FORCE_COLOR=1 COLUMNS=118 tocsin demo

The lines are the demo's own. Long ones are cut with "…", and so is what a command says beyond its first lines.
"""

import html
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

OUT = Path(__file__).parent.parent / "docs" / "demo.svg"
COLUMNS = 118
QUOTED_LINES_MAX = 10  # a whole card, and the beginning of all else
QUOTE = "      "
CELL_PX, LINE_PX, FONT_PX, EDGE_PX, BAR_PX = 8.43, 19, 14, 18, 34
TEXT, GROUND = "#d0d4da", "#15181e"
# The colours of the terminal's codes (ECMA-48, SGR), readable on the dark ground.
FILLS = {
    "2": "#8b949e",
    "31": "#ff7b72",
    "32": "#7ee787",
    "33": "#e3b341",
    "34": "#79c0ff",
    "35": "#d2a8ff",
    "36": "#56d4dd",
}
CODE = re.compile(r"\x1b\[([0-9;]*)m")

Piece = tuple[str, frozenset[str]]  # a text, and the codes that hold for it


def played() -> str:
    """The demo's output, with colours."""
    wide = os.environ | {"FORCE_COLOR": "1", "COLUMNS": str(COLUMNS)}
    tocsin = Path(sys.executable).with_name("tocsin")
    return subprocess.run([tocsin, "demo"], env=wide, check=True, capture_output=True, text=True).stdout


def shortened(lines: Iterable[str]) -> Iterator[str]:
    """The same without what is quoted beyond the first lines."""
    quoted = 0
    for line in lines:
        quoted = quoted + 1 if CODE.sub("", line).startswith(QUOTE) else 0
        if quoted <= QUOTED_LINES_MAX:
            yield line
        elif quoted == QUOTED_LINES_MAX + 1:
            yield f"{QUOTE}…"


def pieces(line: str) -> list[Piece]:
    """A line by its colours."""
    codes: frozenset[str] = frozenset()
    found: list[Piece] = []
    parts = CODE.split(line)  # text, code, text, code, …, text
    for place, part in enumerate(parts):
        if place % 2 == 0:
            found.append((part, codes))
        else:
            given = frozenset(part.split(";")) - {"", "0"}
            codes = codes | given if given else given
    return [piece for piece in found if piece[0]]


def cut(line: list[Piece]) -> list[Piece]:
    """At most COLUMNS characters."""
    if sum(len(text) for text, _ in line) <= COLUMNS:
        return line
    left, kept = COLUMNS - 1, []
    for text, codes in line:
        if text[:left]:
            kept.append((text[:left], codes))
        left -= len(text[:left])
    return [*kept, ("…", frozenset())]


def drawn(line: list[Piece]) -> str:
    return "".join(_span(text, codes) for text, codes in line)


def _span(text: str, codes: frozenset[str]) -> str:
    fill = next((FILLS[code] for code in sorted(codes, reverse=True) if code in FILLS), "")
    style = (f' fill="{fill}"' if fill else "") + (' font-weight="bold"' if "1" in codes else "")
    said = html.escape("".join(char for char in text if char.isprintable()), quote=False)
    return f"<tspan{style}>{said}</tspan>" if style else said


def picture(output: str) -> str:
    lines = [cut(pieces(line)) for line in shortened(output.strip().splitlines())]
    width, height = round(COLUMNS * CELL_PX + 2 * EDGE_PX), BAR_PX + LINE_PX * (len(lines) + 1)
    rows = "\n".join(
        f'<text x="{EDGE_PX}" y="{BAR_PX + LINE_PX * (number + 1)}">{drawn(line)}</text>'
        for number, line in enumerate(lines)
        if line
    )
    lights = "".join(
        f'<circle cx="{EDGE_PX + 4 + 20 * number}" cy="18" r="6" fill="{fill}"/>'
        for number, fill in enumerate(("#ff5f57", "#febc2e", "#28c840"))
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">
<title>make demo</title>
<rect width="{width}" height="{height}" rx="8" fill="{GROUND}"/>
{lights}
<text x="{width // 2}" y="23" fill="#8b949e" font-family="sans-serif" font-size="13" \
text-anchor="middle">make demo</text>
<g fill="{TEXT}" font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" \
font-size="{FONT_PX}" xml:space="preserve" style="white-space: pre">
{rows}
</g>
</svg>
"""


def main() -> None:
    given = sys.argv[1:]
    OUT.write_text(picture(Path(given[0]).read_text() if given else played()))


if __name__ == "__main__":
    main()
