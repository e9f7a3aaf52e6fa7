"""A stack in this process for each test of an operator's command."""

from collections.abc import Iterator

import pytest

from orderwatch_local.simulator import serve
from tests.support.operated import Operated, vendor


@pytest.fixture
def operated(aws: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Operated]:
    """A stack and its vendor; no secret is put yet."""
    trackstar = vendor()
    with serve(trackstar) as server:
        yield Operated.deployed(server.url, trackstar, capsys, monkeypatch)
