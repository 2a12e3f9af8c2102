"""Numbers as text, and printed figures such as ``138M`` as numbers.

Every number that a person reads is formatted here. Add a new suffix to the tables in this file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

STYLES = ("iec", "si", "raw")
"""Styles of numbers. ``iec``: bytes in KiB and MiB; ``si``: bytes in kB and MB; ``raw``: all digits, with commas."""

_COUNT = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "K"))
_IEC = ((1024**4, "TiB"), (1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"))
_SI = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def count(value: int, style: str = "iec") -> str:
    """Format a count: 138357544 -> '138.36M'. Below 10,000, and in style ``raw``, all digits are shown."""
    if style == "raw" or abs(value) < 10_000:
        return f"{value:,}"
    return _scaled(value, _COUNT, "")


def size(value: int, style: str = "iec") -> str:
    """Format a number of bytes: 60950432 -> '58.13 MiB' (iec), '60.95 MB' (si), '60,950,432' (raw)."""
    if style == "raw":
        return f"{value:,}"
    if style == "si":
        return _scaled(value, _SI, " ") if abs(value) >= 1000 else f"{value} B"
    return _scaled(value, _IEC, " ") if abs(value) >= 1024 else f"{value} B"


def rate(value: int, style: str = "iec") -> str:
    """Format a rate per second to four digits, in powers of 1000: 936000000000 -> '936G'. ``raw`` shows all digits."""
    if style == "raw":
        return f"{value:,}"
    factor, suffix = next((pair for pair in _COUNT if abs(value) >= pair[0]), (1, ""))
    return f"{value / factor:.4g}{suffix}"


_TIMES = ((1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns"))


def duration(nanoseconds: float, style: str = "iec") -> str:
    """Format a time in nanoseconds to three digits: 1234567.0 -> '1.23 ms' (``raw``: '1,234,567.0 ns')."""
    if style == "raw":
        return f"{nanoseconds:,.1f} ns"
    if not nanoseconds:
        return "0 ns"
    # In three digits 999.6 us is 1.00 ms, not 1,000 us.
    factor, unit = next((pair for pair in _TIMES if abs(nanoseconds) >= 0.9995 * pair[0]), _TIMES[-1])
    value = nanoseconds / factor
    digits = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:,.{digits}f} {unit}"


def share(part: float, whole: float) -> str:
    """Format a share as a percentage with one decimal: '89.3%'; '' if the whole is 0.

    '100.0%' and '0.0%' are exact: a share that would round to them is '>99.9%' or '<0.1%'.
    """
    if not whole:
        return ""
    text = f"{100 * part / whole:.1f}%"
    if text == "100.0%" and part < whole:
        return ">99.9%"
    return "<0.1%" if text == "0.0%" and part > 0 else text


def shape(dimensions: Sequence[int]) -> str:
    """Format a shape: (1, 64, 55, 55) -> '1x64x55x55', () -> 'scalar'."""
    return "x".join(map(str, dimensions)) if dimensions else "scalar"


def number(value: float) -> str:
    """Format a plain number: an integer with all digits, a float to four significant digits, such as '0.6667'."""
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def ratio(value: float) -> str:
    """Format a ratio: 2.351 -> '2.35x', 0.0123 -> '0.0123x', 1 -> '1x'."""
    return f"{value:,.0f}x" if value >= 100 else f"{value:.3g}x"


def delta(value: int, style: str = "iec", bytes_: bool = False) -> str:
    """Format a difference with its sign: '+13.05M', '-36.93K', '0'. ``bytes_``: the value is a number of bytes."""
    text = (size if bytes_ else count)(value, style)
    return f"+{text}" if value > 0 else text


def plural(number: int, noun: str) -> str:
    """Format a number of things: (1, 'layer') -> '1 layer', (2, 'layer') -> '2 layers'."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _scaled(value: int, units: Sequence[tuple[int, str]], gap: str) -> str:
    for factor, suffix in units:
        if abs(value) >= factor:
            return f"{value / factor:.2f}{gap}{suffix}"
    return f"{value}{gap}"


SCALES = {
    "": 1, "K": 10**3, "k": 10**3, "M": 10**6, "G": 10**9, "B": 10**9, "T": 10**12,
    "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3,
}  # fmt: skip
"""The factor of each suffix of a printed figure."""
FIGURE = re.compile(r"\s*([0-9][0-9,]*)(?:\.([0-9]+))?\s*([A-Za-z]*)\s*\Z")
"""Matches a printed figure such as 138M, 3.8G, "60,000" or 93MB. The groups are integer part, decimals and suffix."""


def is_figure(text: str) -> bool:
    """True if the text is a printed figure with a known suffix, such as 138M."""
    match = FIGURE.match(text)
    return match is not None and match.group(3) in SCALES
