"""One HTML page about one network, or about several beside each other."""

from __future__ import annotations

from .comparison import comparison_page
from .difference import difference_page
from .network import report_page
from .plotly_js import plotly_js
from .shell import Assets, shared_files

__all__ = ["Assets", "comparison_page", "difference_page", "plotly_js", "report_page", "shared_files"]
