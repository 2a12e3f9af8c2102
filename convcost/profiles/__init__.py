"""Profiles: measurements as records. They are saved, read and compared without PyTorch."""

from __future__ import annotations

from .files import load_profile, save
from .profile import Profile
from .runs import Ceiling, Condition, Environment, LayerTime, MemoryUse, Run, Setting, Static

__all__ = [
    "Ceiling",
    "Condition",
    "Environment",
    "LayerTime",
    "MemoryUse",
    "Profile",
    "Run",
    "Setting",
    "Static",
    "load_profile",
    "save",
]
