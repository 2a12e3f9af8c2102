from __future__ import annotations

import os

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # one process for each core: more threads would only wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def models():
    """torchvision's models, where it is installed."""
    support = pytest.importorskip("support.torchvision_ops")
    try:
        return support.import_torchvision().models
    except ImportError as error:
        pytest.skip(str(error))
