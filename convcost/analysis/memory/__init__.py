"""How much memory a network needs, for inference and for training: over time, its peak, and what is there then."""

from __future__ import annotations

from .events import PARTS, Alive, Moment, Script
from .memory import Memory, memory
from .schedules import Setup

__all__ = ["PARTS", "Alive", "Memory", "Moment", "Script", "Setup", "memory"]
