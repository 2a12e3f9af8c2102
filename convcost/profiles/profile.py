"""``Profile``: the measurements of one network on one device, and their JSON. A new field has a default."""

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
"""Version of the file. Within a version fields are only added, each with a default, so that older files stay valid."""

KIND = "profile"


class Profile(msgspec.Struct, Shown, frozen=True, dict=True):
    """Measurements of one network on one device.

    Args:
        name, title, source: those of the network.
        environment: the device and the software.
        runs: one per setting.
        ceilings: the highest rates that the device reached.
        network: the graph as ``export --format json`` writes it. With it a saved profile is a SOURCE.
        interrupted: True if the measurement was stopped before its end.
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
        """The figures of the layers of each run."""
        return tuple(LayerSummary(run, self.ceilings) for run in self.runs)

    @property
    def doubts(self) -> tuple[tuple[str, ...], ...]:
        """The warnings about each run; see ``doubts``."""
        return tuple(map(warnings, self.runs))

    def figures_at(self, batch: int, dtype: str) -> LayerSummary | None:
        """The figures of the first run of this batch and dtype that has times of layers; None if there is none."""
        for summary in self.figures:
            setting = summary.run.setting
            if summary.run.measured and summary.run.layers and (setting.batch, setting.dtype) == (batch, dtype):
                return summary
        return None

    def __repr__(self) -> str:
        return f"<Profile {self.name!r} on {self.environment.device_name}: {len(self.measured)} runs>"

    def to_dict(self) -> dict[str, Any]:
        """The profile as plain data, as in its file: dicts, lists, numbers and strings."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        for run, fields in zip(self.runs, plain["runs"], strict=True):
            if run.measured:
                fields["summary"] = {**msgspec.to_builtins(run.time), "samples_per_s": run.samples_per_s}
        return {"schema": SCHEMA, "kind": KIND, "convcost": __version__, **plain}

    def network_document(self) -> dict[str, Any]:
        """The document of the network for the reader of graphs in JSON."""
        return {"convcost": __version__, **({"network": self.network} if self.network is not None else {})}

    def to_json(self) -> str:
        """The profile as JSON text with one line per run."""
        plain = self.to_dict()
        runs = plain.pop("runs")
        head = msgspec.json.encode(plain).decode()
        lines = ",\n".join(msgspec.json.encode(run).decode() for run in runs)
        return f'{head[:-1]},\n"runs": [\n{lines}\n]}}\n'
