"""One commit a page: an interrupted poll loses at most its current page."""

import pytest

from orderwatch.polling.metrics import Outcome
from orderwatch_local.simulator import Request, Response
from tests.support.world import MINUTE, World, kinds


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A shop of five known orders, two a page; changes keep their place, since the vendor's clock stops."""
    monkeypatch.setattr("orderwatch.trackstar.client.PAGE_SIZE", 2)
    world = World()
    world.place("1", "2", "3", "4", "5")
    world.poll()
    world.new_alerts()
    world.our_clock.advance(MINUTE)
    return world


class KilledError(BaseException):
    """The process was killed."""


def killed_before_page(world: World, number: int) -> None:
    """A poll whose process is killed when it asks for the n-th page."""

    def kill() -> None:
        raise KilledError

    world.before_page(number, kill)
    with pytest.raises(KilledError):
        world.poll()
    world.trackstar.intercept = None


def test_every_page_is_written_before_the_next_is_read(world: World) -> None:
    before = world.state().revision
    summary = world.poll()
    assert (summary.pages, world.state().revision) == (3, before + 3)


@pytest.mark.parametrize("page", [1, 2, 3])
def test_a_poll_killed_on_a_page_loses_only_that_page(world: World, page: int) -> None:
    for order_id in "12345":
        world.move(order_id, "exception")
    killed_before_page(world, page)
    assert len(world.new_alerts()) == 2 * (page - 1), "every page before it is written, with its alerts"
    progress = world.state().cursor.progress
    assert (progress.read_count if progress else 0) == 2 * (page - 1)

    rest = world.poll()

    assert rest.pages == 3 - (page - 1), "the next poll continues at the lost page"
    assert len(world.new_alerts()) == 5 - 2 * (page - 1)


@pytest.mark.parametrize("status", [401, 404, 500])
def test_an_unreadable_page_loses_none_of_those_before_it(world: World, status: int) -> None:
    world.move("1", "exception")
    lists = iter(range(1, 1000))

    def intercept(request: Request) -> Response | None:
        return Response(status) if request.path == "/cart/orders" and next(lists) > 2 else None

    world.trackstar.intercept = intercept
    if status == 401:
        assert world.poll().outcome is Outcome.UNAUTHORIZED
    else:
        with pytest.raises(Exception, match=str(status)):
            world.poll()
    progress = world.state().cursor.progress
    assert progress is not None
    assert progress.read_count == 4
    assert "order.exception" in kinds(world.new_alerts())


def test_an_order_read_in_another_status_is_alerted_again(world: World) -> None:
    world.move("2", "exception")

    def again() -> None:
        world.place("0")  # moves "2" to the second page
        world.move("2", "cancelled")

    world.before_page(2, again)
    world.poll()
    assert kinds(world.new_alerts()) == ["order.exception", "order.cancelled"]
