"""A profile: the measurements of one network on one device."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import msgspec

from ..display import Shown
from ..version import __version__
from .doubts import warnings
from .layer_summary import LayerSummary
from .runs import Ceiling, Environment, Run

SCHEMA = 1
"""Version of the file. Within one, fields are only added, each with a default: what was written before still reads."""

KIND = "profile"


class Profile(msgspec.Struct, Shown, frozen=True, dict=True):
    """Measurements of one network on one device.

    ``network`` is the network's graph, as ``export --format json`` writes it: with it a saved profile is a SOURCE.
    ``interrupted``: it was stopped, and what is here is what was done.
    """

    name: str
    title: str
    source: str
    environment: Environment
    runs: tuple[Run, ...]
    ceilings: tuple[Ceiling, ...] = ()
    network: Mapping[str, Any] | None = None
    interrupted: bool = False

    @cached_property
    def measured(self) -> tuple[Run, ...]:
        """The runs that have times."""
        return tuple(run for run in self.runs if run.measured)

    @cached_property
    def figures(self) -> tuple[LayerSummary, ...]:
        """What the raw times of each run say of its layers."""
        return tuple(LayerSummary(run, self.ceilings) for run in self.runs)

    @property
    def doubts(self) -> tuple[tuple[str, ...], ...]:
        """Of each run the reasons why its times may not be what the device can do."""
        return tuple(map(warnings, self.runs))

    def figures_at(self, batch: int, dtype: str) -> LayerSummary | None:
        """The figures of the first run of this batch and dtype that has times of layers."""
        for found in self.figures:
            setting = found.run.setting
            if found.run.measured and found.run.layers and (setting.batch, setting.dtype) == (batch, dtype):
                return found
        return None

    def __repr__(self) -> str:
        return f"<Profile {self.name!r} on {self.environment.device_name}: {len(self.measured)} runs>"

    def to_dict(self) -> dict[str, Any]:
        """The profile as in its file, of dicts, lists and raw integers; see ``files``."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        for run, made in zip(self.runs, plain["runs"], strict=True):
            if run.measured:
                made["summary"] = {**msgspec.to_builtins(run.time), "samples_per_s": run.samples_per_s}
        return {"schema": SCHEMA, "kind": KIND, "convcost": __version__, **plain}

    def network_document(self) -> dict[str, Any]:
        """The network as it stands in the file, under its key, for the reader of graphs."""
        return {"convcost": __version__, **({"network": self.network} if self.network is not None else {})}

    def to_json(self) -> str:
        """The profile as the text of its file."""
        plain = self.to_dict()
        runs = plain.pop("runs")
        head = msgspec.json.encode(plain).decode()
        lines = ",\n".join(msgspec.json.encode(run).decode() for run in runs)
        return f'{head[:-1]},\n"runs": [\n{lines}\n]}}\n'
