from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def models():
    """torchvision's models, where it is installed."""
    support = pytest.importorskip("support.torchvision_ops")
    try:
        return support.import_torchvision().models
    except ImportError as error:
        pytest.skip(str(error))
