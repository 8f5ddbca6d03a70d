"""What our pages for people look like: one column of HTML without scripts, fetched from nowhere else.

Their links carry tokens that entitle, so no page is kept, framed, or named to the place that a reader goes on to.
"""

import html

from starlette.responses import HTMLResponse, Response

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">{refresh}
<title>{title}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:{width};margin:4rem auto;padding:0 1rem;color:#16191f}}
code{{overflow-wrap:anywhere}}button{{font:inherit;padding:.4rem 1.2rem}}
pre{{font-size:13px;background:#f2f3f3;padding:.8rem;overflow-x:auto}}td{{padding-right:1.5rem;vertical-align:top}}</style>
</head><body><h1>{title}</h1>{body}</body></html>
"""
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}


def page(title: str, body: str, status: int = 200, *, refresh_s: int = 0, wide: bool = False) -> Response:
    """`body` is HTML, `title` a text. With `refresh_s` the page is asked for again after that time."""
    refresh = f'<meta http-equiv="refresh" content="{refresh_s}">' if refresh_s else ""
    width = "70rem" if wide else "40rem"
    text = PAGE.format(title=html.escape(title), body=body, refresh=refresh, width=width)
    return HTMLResponse(text, status_code=status, headers=HEADERS)


def code(text: str) -> str:
    return f"<code>{html.escape(text)}</code>"
