"""Graph to records: costs, receptive fields, claims, explanations."""

from __future__ import annotations

from .costs import DTYPES, analyze
from .layers import LayerRecord
from .records import Report

__all__ = ["DTYPES", "LayerRecord", "Report", "analyze"]
