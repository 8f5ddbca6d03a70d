"""The page behind a card's button: which command would run on which node, a form that runs it, and what came of it.

Looking changes nothing, for programs look at links too: mail scanners, previews of chats. Nobody signs here: the
ticket in the link entitles, to one run (services/investigations.py).
"""

import html
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from tocsin.core.commands.hearing import STDERR_CHARS_MAX, STDOUT_CHARS_MAX
from tocsin.doors.page import code, page
from tocsin.model.errors import AwsError, StoreUnavailable
from tocsin.services.investigations import PATH, Investigations, Run, Standing

REFRESH_S = 2
FORGED = (
    "<p>It was not made here, or was changed on its way: cut in two by a mail program, say. "
    "Open it from the message itself.</p>"
)
EXPIRED = (
    "<p>Links to investigate work for a day, and while the settings name a command for them "
    "(<code>chat.investigate</code>). A newer message about the node has a newer one.</p>"
)


class InvestigationPage:
    def __init__(self, investigations: Investigations) -> None:
        self._investigations = investigations

    def routes(self) -> list[BaseRoute]:
        return [Route(PATH, self.look), Route(PATH, self.begin, methods=["POST"])]

    async def look(self, request: Request) -> Response:
        try:
            standing = await self._investigations.look(_ticket(request))
        except AwsError as error:
            return _failed(error.message, error.status)
        except StoreUnavailable as error:
            return _failed(f"The state cannot be read now: {error}", 503)
        return _shown(standing)

    async def begin(self, request: Request) -> Response:
        """Run it, and go on to the page that shows it: reloading that one posts nothing again."""
        try:
            standing = await self._investigations.begin(_ticket(request))
        except AwsError as error:
            return _failed(f"The command was not sent: {error.message}", error.status)
        except StoreUnavailable as error:
            return _failed(f"The command was not sent: the state cannot be written now: {error}", 503)
        if standing and standing.run:
            return RedirectResponse(f"?{urlencode({'ticket': _ticket(request)})}", 303, {"Cache-Control": "no-store"})
        return _shown(standing)


def _ticket(request: Request) -> str:
    return request.query_params.get("ticket", "")


def _failed(why: str, status: int) -> Response:
    return page("This did not work", f"<p>{html.escape(why)}</p><p>Nothing was run. Try again.</p>", status)


def _shown(standing: Standing | None) -> Response:
    if standing is None:
        return page("This link does not work", FORGED, 403)
    if standing.run:
        return _of_run(standing, standing.run)
    if standing.expired:
        return page("This link has expired", EXPIRED, 410)
    if standing.node is None:
        return _gone(standing)
    return _asked(standing)


def _gone(standing: Standing) -> Response:
    instance_id, other = standing.ticket.instance_id, standing.replacement
    instead = f"<p>{code(other)} is in its place.</p>" if other else ""
    story = f"<p>What became of it: {code(f'tocsin story {instance_id}')}</p>"
    return page("This node is gone", f"<p>{code(instance_id)} was replaced or removed.</p>{instead}{story}", 410)


def _asked(standing: Standing) -> Response:
    assert standing.node is not None, "only a node that is there is asked about"
    world, node = standing.node
    rows = {
        "Command": standing.document,
        "Node": f"{node.name}, {node.instance_id}",
        "Cluster": world.cluster.name,
        "Health": f"{node.health}: {node.message}" if node.message else node.health,
        "Status": node.status,
    }
    return page(
        "Investigate this node?",
        f"<p>{html.escape(standing.about)}</p>{_table(rows)}<p>It runs once, as the user of the node's agent.</p>"
        '<form method="post"><button>Run it</button></form>',
    )


def _of_run(standing: Standing, run: Run) -> Response:
    ticket, one = standing.ticket, run.invocation
    shell = f"aws ssm get-command-invocation --command-id {run.command_id} --instance-id {ticket.instance_id}"
    elsewhere = f"<p>The same in a terminal: {code(shell)}</p>"
    if run.command is None or one is None:
        return page("This was run", f"<p>Command {code(run.command_id)} is forgotten by now.</p>", 410)
    if standing.expired:  # it entitles to nothing more, not even to look
        return page("This link has expired", f"<p>It ran command {code(run.command_id)}.</p>{elsewhere}", 410)
    rows = {"Command": run.command_id, "Node": ticket.instance_id, "Status": one.details, "Why": one.reason}
    group = run.command.log_group
    whole = f"<p>The whole output is in the log group {code(group)}.</p>" if group else ""
    return page(
        f"{run.command.document} on {ticket.instance_id}",
        f"{_table(rows)}{_output(run)}{whole}{elsewhere}",
        refresh_s=0 if one.final else REFRESH_S,
        wide=True,
    )


def _output(run: Run) -> str:
    stdout = "".join(one.stdout for one in run.outputs)[:STDOUT_CHARS_MAX]
    stderr = "".join(one.stderr for one in run.outputs)[:STDERR_CHARS_MAX]
    texts = (("Output", stdout), ("Errors", stderr))
    return "".join(f"<h2>{title}</h2><pre>{html.escape(text)}</pre>" for title, text in texts if text)


def _table(rows: dict[str, str]) -> str:
    cells = (f"<tr><td>{name}</td><td>{html.escape(text)}</td></tr>" for name, text in rows.items() if text)
    return f"<table>{''.join(cells)}</table>"
