"""A server of orders whose pages are encoded ahead: `python -m bench.pages PAGES` prints its port.

A thousand orders of three lines a page, with all the fields that the simulated shop sends. It looks at nothing of a
request but the path and the page token, so that what is measured is the reader.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from orderwatch_local.simulator.records import stamp
from orderwatch_local.simulator.seeded_data import OrderBook, seeded_catalogue
from tests.support.template import ROOT

PAGE = 1000
LINES = 3
UPDATED = datetime(2026, 1, 5, 12, tzinfo=UTC)
FIRST_SHIP_BY, SHIP_BYS = datetime(2027, 1, 5, 12, tzinfo=UTC), 60
"""The orders of a page are to be shipped within this many days."""
STATUSES = ("open", "confirmed", "processing", "fulfilled", "fulfilled")
ALERTED_STATUS = "backordered"
"""What one order in fifty shows."""
LISTED_STATUS = "partially_fulfilled"
"""What one order in eight shows."""
_NUMBER = "@page@"


def order_id(page: str, place: int) -> str:
    """The id of an order; `page` is the page's number."""
    return f"ord-{page}-{place:04}"


def status_at(place: int) -> str:
    """The status of the order at this place of every page."""
    if place % 50 == 0:
        return ALERTED_STATUS
    return LISTED_STATUS if place % 8 == 1 else STATUSES[place % len(STATUSES)]


def ship_by_at(place: int) -> datetime:
    """The ship-by of the order at this place of every page."""
    return FIRST_SHIP_BY + place % SHIP_BYS * timedelta(days=1)


@cache
def _records() -> bytes:
    book = OrderBook(
        1, catalogue=seeded_catalogue(1, currency="EUR", host="shop.example"), country="DE", host="shop.example"
    )
    records: list[Any] = []
    while len(records) < PAGE:
        record = book.write(UPDATED)
        if len(record["line_items"]) == LINES:
            place = len(records)
            dates = dict.fromkeys(("updated_date", "trackstar_created_date", "trackstar_updated_date"), stamp(UPDATED))
            dates["latest_ship_date"] = stamp(ship_by_at(place))
            records.append({**record, "id": order_id(_NUMBER, place), "status": status_at(place), **dates})
    return json.dumps(records, ensure_ascii=False).encode()


def body(page: int, pages: int) -> bytes:
    """The answer for one page, as the vendor would send it."""
    records = _records().replace(_NUMBER.encode(), b"%05d" % page)
    token = json.dumps(str(page + 1) if page + 1 < pages else None).encode()
    return b'{"data": %b, "next_token": %b, "total_count": %d}' % (records, token, PAGE * pages)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    pages: int
    ahead: tuple[bytes, ...]

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        number = int(parse_qs(url.query).get("page_token", ["0"])[0])
        answer = self._page(number) if url.path == "/cart/orders" else _CONNECTION
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _page(self, number: int) -> bytes:
        return self.ahead[number] if number < len(self.ahead) else body(number, self.pages)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Suppress the log."""


_CONNECTION = json.dumps({"connection_id": "conn_a", "integration_name": "bench", "integration_type": "cart"}).encode()
_MOST_AHEAD = 100


def main() -> None:
    """Serve until standard input ends."""
    _Handler.pages = int(sys.argv[1])
    _Handler.ahead = tuple(body(page, _Handler.pages) for page in range(min(_Handler.pages, _MOST_AHEAD)))
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_address[1], flush=True)  # noqa: T201 - the parent process reads it
        sys.stdin.read()
        server.shutdown()


@contextmanager
def served(pages: int) -> Iterator[str]:
    """The URL of a server of this many pages, in a process of its own."""
    command = [sys.executable, "-m", "bench.pages", str(pages)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.communicate()


if __name__ == "__main__":
    main()
