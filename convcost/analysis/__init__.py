"""Graph to records: costs, receptive fields, claims, explanations."""

from __future__ import annotations

from .costs import DTYPES, analyze
from .records import LayerRecord, Report

__all__ = ["DTYPES", "LayerRecord", "Report", "analyze"]
