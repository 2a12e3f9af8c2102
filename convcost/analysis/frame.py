"""Records as pandas data frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import MissingExtraError

if TYPE_CHECKING:
    from .records import Report


def to_frame(report: Report) -> Any:
    """The layers as a DataFrame, one row each, with the JSON's keys as columns.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise MissingExtraError(
            "to_frame needs pandas: pip install pandas (it comes with the extra convcost[charts])"
        ) from None
    return pd.DataFrame([layer.to_dict() for layer in report.layers])
