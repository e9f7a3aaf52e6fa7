"""Page tokens: opaque, good for one list of one connection, expiring, and without memory of the filters."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from orderwatch_local.shop.clock import Clock
from orderwatch_local.shop.exchange import RefusedError
from orderwatch_local.shop.filters import ListQuery
from orderwatch_local.shop.records import Record

_SIGNATURE_BYTES = 12
_NOT_VALID = "Invalid parameter page_token: not valid for this list"


class Paging(StrEnum):
    """Where the page tokens of a connection lead."""

    FORWARD = "forward"
    STANDING = "standing"
    ROUND = "round"


class PageTokens:
    """Issues and reads page tokens.

    A token is a signed offset, nothing is kept. A list that changes between two pages therefore shifts under its
    reader, as the vendor warns: a record that leaves it moves another past the reader.

    Args:
        clock: Tells when a token has expired.
        lifetime: How long a token is good for.
        key: Signs the tokens, so that one of another API is refused.
    """

    def __init__(self, clock: Clock, lifetime: timedelta, key: str) -> None:
        self._clock = clock
        self._lifetime = lifetime
        self._key = key.encode()

    def page(
        self, records: Sequence[Record], query: ListQuery, scope: str, *, paging: Paging = Paging.FORWARD
    ) -> Record:
        """The page of the records that the query asks for.

        Args:
            records: The whole list as filtered now.
            query: Gives the limit and the token.
            scope: Names the list and the connection; a token is good in its own scope only.
            paging: `STANDING`: every page but the first leads to itself; `ROUND`: the last one leads to the first.

        Raises:
            RefusedError: 422 where the token is not one of this scope or has expired.
        """
        start = self._offset(query.page_token, scope) if query.page_token is not None else 0
        end = start + query.limit
        next_token = self._issue(end, scope) if end < len(records) else None
        if paging is Paging.STANDING:
            next_token = query.page_token or next_token
        if paging is Paging.ROUND and start > 0:
            next_token = next_token or self._issue(0, scope)
        return {"data": list(records[start:end]), "next_token": next_token, "total_count": len(records)}

    def _issue(self, offset: int, scope: str) -> str:
        expires = (self._clock.now() + self._lifetime).timestamp()
        content = f"{offset}:{expires}".encode()
        return base64.urlsafe_b64encode(self._sign(content, scope) + content).decode().rstrip("=")

    def _offset(self, token: str, scope: str) -> int:
        try:
            raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except ValueError:
            raise RefusedError(422, _NOT_VALID) from None
        signature, content = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._sign(content, scope)):
            raise RefusedError(422, _NOT_VALID)
        offset, expires = content.decode().split(":")
        if self._clock.now() >= datetime.fromtimestamp(float(expires), self._clock.now().tzinfo):
            raise RefusedError(422, "Invalid parameter page_token: expired")
        return int(offset)

    def _sign(self, content: bytes, scope: str) -> bytes:
        signed = scope.encode() + b"\0" + content
        return hmac.digest(self._key, signed, hashlib.sha256)[:_SIGNATURE_BYTES]
