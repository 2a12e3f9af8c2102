"""plotly.js, as the Python package plotly carries it."""

from __future__ import annotations

import os
from importlib.util import find_spec

from ...errors import MissingExtraError


def plotly_js() -> str:
    """The text of plotly.js; the Python package itself, which takes a second to import, is not imported.

    Raises:
        MissingExtraError: plotly is not installed.
    """
    found = find_spec("plotly")
    for folder in (found.submodule_search_locations or ()) if found else ():
        path = os.path.join(folder, "package_data", "plotly.min.js")
        if os.path.isfile(path):
            with open(path, encoding="utf-8") as file:
                return file.read()
    raise MissingExtraError(
        'an HTML page needs plotly, which is not installed: pip install "convcost[charts]" '
        "(--format markdown works without)"
    )
