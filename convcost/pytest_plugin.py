"""The pytest plugin: a fixture ``convcost``, so that a test can say what a network may cost without an import."""

from __future__ import annotations

from types import ModuleType

import pytest


@pytest.fixture(name="convcost", scope="session")
def _convcost() -> ModuleType:
    """The package convcost: ``convcost.assert_cost(model, params="25.6M")``, ``convcost.diff(a, b)``."""
    import convcost

    return convcost
