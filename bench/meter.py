"""Counts the requests that leave our code, and measures the seconds that are spent outside it."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Meter:
    """Requests by service, and the seconds that they took in all; `on_request` is called before each."""

    requests: Counter[str] = field(default_factory=Counter)
    outside: float = 0.0
    on_request: Callable[[str], None] = lambda _service: None

    @contextmanager
    def request(self, service: str) -> Iterator[None]:
        """One request to a service."""
        self.requests[service] += 1
        self.on_request(service)
        begun = time.perf_counter()
        yield
        self.outside += time.perf_counter() - begun

    def own[T](self, work: Callable[[], T]) -> tuple[T, float]:
        """The result of some work, and its seconds without those spent outside our code."""
        outside, begun = self.outside, time.perf_counter()
        result = work()
        return result, time.perf_counter() - begun - (self.outside - outside)

    def client(self, client: object, service: str) -> Any:
        """A client of boto3 whose requests are metered, page by page."""
        return _Metered(client, service, self)


@dataclass(frozen=True)
class _Metered:
    inner: Any
    service: str
    meter: Meter

    def __getattr__(self, name: str) -> Any:
        found: Any = getattr(self.inner, name)

        def metered(**request: Any) -> Any:
            with self.meter.request(self.service):
                return found(**request)

        return metered if callable(found) else found

    def get_paginator(self, operation: str) -> "_Metered":
        return _Metered(self.inner.get_paginator(operation), self.service, self.meter)

    def paginate(self, **request: Any) -> Iterator[Any]:
        begun = time.perf_counter()
        for index, page in enumerate(self.inner.paginate(**request)):
            self.meter.outside += time.perf_counter() - begun
            # The last page of the tables in memory is empty, which is rare in DynamoDB.
            self.meter.requests[self.service] += index == 0 or any(page.values())
            yield page
            begun = time.perf_counter()
