"""`orderwatch shop`: the simulated shops as a server, to be watched, and to be broken by hand."""

import shlex
import sys
import threading

from orderwatch import clock
from orderwatch_cli.command_hints import program
from orderwatch_local.shop import LiveClock, Script, Trackstar, day_of_three_shops, serve
from orderwatch_local.shop.script import API_KEY, DAY, SHOP_NAMES
from orderwatch_local.shop_commands import ShopCommands
from orderwatch_local.shop_prompt import Prompt
from orderwatch_local.up_checks import token_variable

SYNC_EVERY = 60.0
"""Seconds between two syncs of shops that stand still, so that they never look stale."""
POLL_EVERY = 5
"""Seconds between two polls in the command that is printed: an alert shows soon after its order."""


def serve_shops(*, seed: int, port: int, seconds_an_hour: float | None) -> None:
    """Serve the shops until interrupted, and take commands.

    Args:
        seed: Which day.
        port: On 127.0.0.1; 0 takes a free one.
        seconds_an_hour: Seconds that an hour of the day takes; None: the shops stand still, at this very moment.

    Raises:
        PortInUseError: The port is taken.
    """
    begins_at = DAY if seconds_an_hour else clock.now().replace(microsecond=0)
    time = LiveClock(begins_at)
    script = day_of_three_shops(seed, begins_at=begins_at, clock=time)
    trackstar = script.begin()
    time.start()
    prompt = Prompt(ShopCommands(trackstar), source=sys.stdin, out=sys.stdout, errors=sys.stderr)
    over = threading.Event()
    with serve(trackstar, port=port) as server:
        prompt.say(how_to_watch(trackstar, server.url))
        playing = threading.Thread(target=_play, args=(script, prompt, seconds_an_hour, over), daemon=True)
        playing.start()
        try:
            if not prompt.serve():
                over.wait()
        finally:
            over.set()


def how_to_watch(trackstar: Trackstar, url: str) -> str:
    """What to type in another terminal, and what here."""
    first, *others = trackstar.shops
    more = " ".join(f"--connection {shop.connection_id}" for shop in others)
    tokens = [f"export {token_variable(shop.connection_id)}={shop.access_token}" for shop in trackstar.shops]
    return "\n".join(
        [
            f"Three simulated shops are at {url}",
            "Watch one of them from a second terminal:",
            "",
            f"export TRACKSTAR_API_KEY={API_KEY}",
            *tokens,
            f"{program()} up --every {POLL_EVERY} \\",
            f"  --trackstar-url {url} \\",
            f"  --connection {first.connection_id} --name {shlex.quote(SHOP_NAMES[first.connection_id])}",
            "",
            "The others too: instead of --name ...",
            f"  {more}",
            "",
            "When it is watching, break an order here:",
            "",
            'fail 1042 exception "Address verification failed"',
            "",
            "`orders` shows some orders, `help` all commands.",
        ]
    )


def _play(script: Script, prompt: Prompt, seconds_an_hour: float | None, over: threading.Event) -> None:
    if seconds_an_hour:
        _play_the_day(script, prompt, seconds_an_hour, over)
    while not over.wait(SYNC_EVERY):
        script.sync()


def _play_the_day(script: Script, prompt: Prompt, seconds_an_hour: float, over: threading.Event) -> None:
    for hour in script.hours:
        if over.wait(seconds_an_hour):
            return
        script.apply(hour)
        script.sync()
        prompt.say(f"{hour.ends_at:%H:%M}  {len(hour.steps)} changes are visible")
    prompt.say("The day is over; the shops stand still. Ctrl-C ends it.")
