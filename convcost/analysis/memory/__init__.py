"""How much memory a network needs, for inference and for training: over time, its peak, and what is there then."""

from __future__ import annotations

from .account import Memory, memory
from .script import PARTS, Alive, Moment, Script
from .walks import Setup

__all__ = ["PARTS", "Alive", "Memory", "Moment", "Script", "Setup", "memory"]
