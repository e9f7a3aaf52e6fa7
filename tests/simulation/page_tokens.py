"""Page tokens that are refused in a simulated run, in words and codes of all kinds (rule 7).

A shop refuses every token for a while, or for ever the one that a poll has saved. Drawn apart from everything else of a
seed.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from orderwatch_local.simulator import RefusedError, Shop

if TYPE_CHECKING:
    from tests.simulation.run import SimulatedRun

REFUSALS = (
    (422, "Invalid cursor"),
    (422, "Invalid parameter page_token: unknown"),
    (422, "The continuation has expired, start over"),
    (400, "Bad request"),
    (404, "Not found"),
    (409, "The list has changed"),
    (410, "This page is gone"),
)
"""The status and the error of a refused token."""
SHARE_REFUSING = 0.15
"""The share of shops that refuse every token for a while."""
DEAD = 0.1
"""The share of saved tokens that are refused from now on."""

type Refusal = tuple[int, str]


class PageTokenFaults:
    """Decides which page tokens are refused."""

    def __init__(self, run: "SimulatedRun") -> None:
        self._run = run
        self._refusing: dict[str, Refusal] = {}
        self._dead: dict[str, Refusal] = {}

    def of(self, connection_id: str) -> Callable[[str], RefusedError | None]:
        """How a shop refuses its tokens."""

        def refuse(token: str) -> RefusedError | None:
            refusal = self._refusing.get(connection_id) or self._dead.get(token)
            return RefusedError(*refusal) if refusal else None

        return refuse

    def schedule(self, shop: Shop, active: float) -> None:
        """Let the shop refuse every token for a while, now and then."""
        if self._run.plan.only_one_is_broken or self._run.habits.random() >= SHARE_REFUSING:
            return
        begins = self._run.habits.uniform(0, active)
        self._run.time.after(begins, lambda: self._refuse(shop))
        self._run.time.after(self._run.habits.uniform(begins, active), lambda: self.accept(shop))

    def _refuse(self, shop: Shop) -> None:
        refusal = self._run.habits.choice(REFUSALS)
        self._refusing[shop.connection_id] = refusal
        self._run.note(f"{shop.connection_id} refuses every page token: {refusal}")

    def accept(self, shop: Shop) -> None:
        """Accept tokens again, but for those that are refused for good."""
        self._refusing.pop(shop.connection_id, None)

    def continued(self, token: str) -> None:
        """A poll continues at a token that an earlier one has saved."""
        if not self._run.is_calm and self._run.habits.random() < DEAD:
            self._dead[token] = self._run.habits.choice(REFUSALS)
            self._run.note(f"  the saved page token is dead: {self._dead[token]}")
