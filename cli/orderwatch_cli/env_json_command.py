"""`orderwatch env-json` as it is typed."""

import os
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from orderwatch_cli import show
from orderwatch_cli.aws import Aws
from orderwatch_cli.env_json import ENVIRONMENT, FOLDER, POLL_EVENT, EnvJsonError, write_all
from orderwatch_cli.local_credentials import LOOPBACK_HOSTS
from orderwatch_cli.stack import STACK_NAME, find_stack

app = typer.Typer(rich_markup_mode=None)


@app.command("env-json")
def env_json(
    into: Annotated[Path, typer.Option(help="Folder for the files.", metavar="FOLDER")] = FOLDER,
    stack_name: Annotated[str, typer.Option(help="Which stack.")] = STACK_NAME,
    endpoint_url: Annotated[str | None, typer.Option(help="Where AWS is; else AWS_ENDPOINT_URL, else AWS.")] = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="One JSON document instead of lines.")] = False,
) -> None:
    """Write env.json and events of a deployed stack for `sam local invoke`.

    What a function does then is real: it reads and writes the stack's tables and sends to its topics.
    """
    endpoint = endpoint_url or os.environ.get("AWS_ENDPOINT_URL") or None
    if urlsplit(endpoint or "").hostname in LOOPBACK_HOSTS:
        raise EnvJsonError(f"no container reaches {endpoint}: `orderwatch up --for-sam` makes a local cloud for them")
    with Aws(endpoint_url=endpoint) as aws:
        written = write_all(find_stack(aws, stack_name), into, endpoint_url=endpoint)
    if json:
        show.document(written)
        return
    for line in (*(f"wrote {path}" for path in written.files), *(f"note: {note}" for note in written.notes)):
        show.line(line)
    files = f"-e {into / POLL_EVENT} --env-vars {into / ENVIRONMENT}"
    show.line(f"for example: sam local invoke PollOrdersFunction {files}")
