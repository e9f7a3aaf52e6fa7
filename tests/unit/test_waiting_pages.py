"""Pages on which little moved are written with the next one: nothing is lost by it, whatever ends the poll."""

import pytest

from orderwatch.polling.poll import Outcome
from orderwatch_local.shop import Request, Response
from tests.support.world import MINUTE, World, kinds


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A shop of five known orders, two a page; what moves keeps its place, as the vendor's clock stands still."""
    monkeypatch.setattr("orderwatch.trackstar.client.PAGE_SIZE", 2)
    world = World()
    world.place("1", "2", "3", "4", "5")
    world.poll()
    world.told()
    world.our_clock.advance(MINUTE)
    return world


def revisions(world: World) -> int:
    return world.state().revision


def test_pages_without_a_change_are_written_with_the_last_one(world: World) -> None:
    before = revisions(world)
    summary = world.poll()
    assert (summary.pages, revisions(world)) == (3, before + 1)


def test_a_change_waits_for_the_next_page_and_is_told(world: World) -> None:
    world.move("1", "exception")
    before = revisions(world)
    world.poll()
    assert kinds(world.told()) == ["order.exception"]
    assert revisions(world) == before + 1


def test_what_waits_is_written_before_the_time_is_up_and_the_next_poll_goes_on_behind_it(world: World) -> None:
    world.move("1", "exception")
    turns = iter((True, True, False))
    assert world.poll(has_time=lambda: next(turns)).outcome is Outcome.UNFINISHED
    told = kinds(world.told())
    progress = world.state().progress
    assert progress is not None
    assert progress.distinct == 4
    assert world.poll().pages == 1
    assert told + kinds(world.told()) == ["order.exception"]


@pytest.mark.parametrize("status", [401, 404, 500])
def test_what_waits_is_written_when_the_next_page_cannot_be_read(world: World, status: int) -> None:
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
    progress = world.state().progress
    assert progress is not None
    assert progress.distinct == 4


def test_an_order_that_shows_up_again_in_another_status_is_told_of_both(world: World) -> None:
    world.move("2", "exception")

    def again() -> None:
        world.place("0")  # moves "2" to the second page
        world.move("2", "cancelled")

    world.before_page(2, again)
    world.poll()
    assert kinds(world.told()) == ["order.exception", "order.cancelled"]
