"""Regression checks for network costs: budgets (bounds on figures) and the lock (the figures last accepted)."""

from __future__ import annotations

from .bounds import Bound, bound
from .check import check
from .config import Config, Source, configuration
from .findings import Checked, CheckReport, Finding

__all__ = ["Bound", "CheckReport", "Checked", "Config", "Finding", "Source", "bound", "check", "configuration"]
