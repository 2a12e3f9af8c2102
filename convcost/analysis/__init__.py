"""Graph to records: costs, receptive fields, claims, explanations."""

from __future__ import annotations

from .layers import LayerRecord
from .report import Report, analyze

__all__ = ["LayerRecord", "Report", "analyze"]
