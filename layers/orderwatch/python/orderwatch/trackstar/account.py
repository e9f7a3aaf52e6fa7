"""What Trackstar tells the organisation by its API key alone: all its connections, in few requests."""

from datetime import datetime
from functools import partial
from typing import Annotated

from pydantic import BeforeValidator

from orderwatch.errors import UnavailableError
from orderwatch.model import Model
from orderwatch.trackstar.answers import record_of
from orderwatch.trackstar.connections import TrackstarConnection, objects
from orderwatch.trackstar.fields import Text
from orderwatch.trackstar.requests import Requests

PAGE_SIZE = 1000
"""Connections a page: the most that the vendor gives."""
MAX_PAGES = 100
"""Pages that are followed: more connections than an organisation has."""


class ConnectionPage(Model):
    """A page of `GET /connections`; a record that is none is left out."""

    data: Annotated[tuple[TrackstarConnection, ...], BeforeValidator(objects)]
    next_token: Text = None


class AccountClient(Requests):
    """The organisation at Trackstar."""

    def connections(self) -> dict[str, TrackstarConnection]:
        """Every connection, by its id.

        Raises:
            TrackstarError: The list cannot be read, or its pages lead nowhere.
        """
        found: dict[str, TrackstarConnection] = {}
        params = {"limit": str(PAGE_SIZE)}
        for _ in range(MAX_PAGES):
            page = self._fetch("/connections", params, partial(record_of, ConnectionPage))
            found |= {each.connection_id: each for each in page.data if each.connection_id}
            if page.next_token is None:
                return found
            if page.next_token == params.get("page_token"):
                break
            params["page_token"] = page.next_token
        raise UnavailableError("GET /connections: its pages lead nowhere")

    @property
    def vendor_now(self) -> datetime | None:
        """The vendor's clock at its latest answer."""
        return self._vendor_now
