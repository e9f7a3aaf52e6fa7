"""Trackstar's warehouses, of which only the names are read: an address is never needed."""

from typing import Annotated

from pydantic import ConfigDict

from orderwatch.sanitize import one_line
from orderwatch.trackstar.fields import Envelope, Id, Label, NoneIfMalformed, Record, Sku, Text

MAX_NAME_LENGTH = 80
"""Maximum characters of a warehouse's name; a longer one is cut."""


class Warehouse(Record):
    """One warehouse of one connection. Carts' warehouses are not documented; those of a WMS have these fields."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    id: Id
    name: Label = None
    code: Sku = None

    @property
    def label(self) -> str | None:
        """The name on one line; the code if there is no name."""
        return one_line(self.name or self.code or "", MAX_NAME_LENGTH) or None


class WarehousePage(Envelope):
    """One page of `GET /cart/warehouses`."""

    data: list[Annotated[Warehouse | None, NoneIfMalformed()]] | None
    next_token: Text = None

    @property
    def names(self) -> dict[str, str]:
        """The names by id; invalid records and warehouses without a name and a code are skipped."""
        return {each.id: each.label for each in self.data or [] if each and each.label}
