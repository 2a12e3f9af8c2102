"""The memory of a network in inference and in training: its peak, what the peak consists of, and its course."""

from __future__ import annotations

from .events import PARTS, Alive, Moment, Schedule
from .memory import Memory, memory
from .schedules import Setup

__all__ = ["PARTS", "Alive", "Memory", "Moment", "Schedule", "Setup", "memory"]
