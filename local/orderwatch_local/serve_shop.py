"""`orderwatch shop`: the scripted day as a server, at a pace that a person can follow."""

import time

from rich.console import Console

from orderwatch_local.shop import day_of_three_shops, serve
from orderwatch_local.shop.script import API_KEY
from orderwatch_local.up import token_variable


def serve_day(console: Console, *, seed: int, port: int, seconds_an_hour: float) -> None:
    """Serve the day until interrupted; when it is over the shops stand still.

    Args:
        console: Where to say how to watch them.
        seed: Which day.
        port: On 127.0.0.1; 0 takes a free one.
        seconds_an_hour: Seconds that an hour of the day takes.

    Raises:
        PortInUseError: The port is taken.
    """
    script = day_of_three_shops(seed)
    trackstar = script.begin()
    with serve(trackstar, port=port) as server:
        console.print("Three simulated shops. Watch them from another terminal:\n")
        console.print(f"export TRACKSTAR_API_KEY={API_KEY}")
        for shop in trackstar.shops:
            console.print(f"export {token_variable(shop.connection_id)}={shop.access_token}", soft_wrap=True)
        connections = " ".join(f"--connection {shop.connection_id}" for shop in trackstar.shops)
        console.print(f"orderwatch up --trackstar-url {server.url} {connections}\n", soft_wrap=True)
        for hour in script.hours:
            time.sleep(seconds_an_hour)
            script.apply(hour)
            script.sync()
            console.print(f"{hour.ends_at:%H:%M}  {len(hour.steps)} changes are visible")
        console.print("The day is over; the shops stand still. Ctrl-C ends it.")
        while True:
            time.sleep(3600)
