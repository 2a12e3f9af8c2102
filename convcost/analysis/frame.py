"""Converts layer records to a pandas DataFrame."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import MissingExtraError
from .layers import LayerRecord


def to_frame(layers: Iterable[LayerRecord]) -> Any:
    """A DataFrame with one row for each layer and the keys of the JSON output as columns.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise MissingExtraError(
            "to_frame needs pandas: pip install pandas (it comes with the extra convcost[charts])"
        ) from None
    return pd.DataFrame([layer.to_dict() for layer in layers])
