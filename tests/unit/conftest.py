"""Fixtures of unit tests: everything is in memory."""

import pytest

from tests.support.cloud import Tables


@pytest.fixture
def tables() -> Tables:
    """The template's tables, empty."""
    return Tables.in_memory()
