"""A GPU's own sensors, by NVIDIA's management library (nvidia-ml-py), where it is there."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ...profiles.runs import Condition

REASONS = {
    0x0004: "power cap",
    0x0008: "hardware slowdown",
    0x0010: "synchronised with other GPUs",
    0x0020: "too warm (software)",
    0x0040: "too warm (hardware)",
    0x0080: "power brake",
}
"""Bits of nvmlDeviceGetCurrentClocksEventReasons that hold a busy GPU back. Others say that it is idle, or that
somebody has set its clocks."""


class Sensors:
    """The sensors of one GPU. Without the library, or where the driver refuses, they say nothing; ``missing`` says why.

    Args:
        uuid: of the GPU, since the driver counts GPUs in another order than CUDA may; "" from an older PyTorch.
        index: of the GPU in the driver's order, for want of the former.
    """

    def __init__(self, uuid: str, index: int = 0) -> None:
        self.missing = ""
        self.driver = ""
        self._nvml: Any = None
        self._handle: Any = None
        try:
            import pynvml
        except ImportError:
            self.missing = "nvidia-ml-py is not installed: pip install nvidia-ml-py"
            return
        try:
            pynvml.nvmlInit()
            self._handle = _handle(pynvml, uuid, index)
            self.driver = _text(pynvml.nvmlSystemGetDriverVersion())
            self._nvml = pynvml
        except pynvml.NVMLError as error:
            self.missing = f"the driver's sensors do not answer: {error}"

    def look(self, at_ns: int) -> Condition | None:
        """Clock, power, temperature and what holds the GPU back, now."""
        nvml, handle = self._nvml, self._handle
        if nvml is None:
            return None
        found: dict[str, Any] = {}
        # Each by itself: a driver may lack any of them.
        with suppress(nvml.NVMLError):
            found["clock_hz"] = nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM) * 1_000_000
        with suppress(nvml.NVMLError):
            found["power_w"] = nvml.nvmlDeviceGetPowerUsage(handle) / 1000
        with suppress(nvml.NVMLError):
            found["temperature_c"] = nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)
        with suppress(nvml.NVMLError):
            # Older versions of the library have the older name only.
            newer = hasattr(nvml, "nvmlDeviceGetCurrentClocksEventReasons")
            look = f"nvmlDeviceGetCurrentClocks{'Event' if newer else 'Throttle'}Reasons"
            bits = getattr(nvml, look)(handle)
            found["throttled"] = tuple(words for bit, words in REASONS.items() if bits & bit)
        return Condition(at_ns, **found) if found else None


def _handle(nvml: Any, uuid: str, index: int) -> Any:
    if not uuid:
        return nvml.nvmlDeviceGetHandleByIndex(index)
    plain = uuid.removeprefix("GPU-").removeprefix("MIG-")
    try:
        return nvml.nvmlDeviceGetHandleByUUID(f"GPU-{plain}")
    except nvml.NVMLError:
        # A part of a GPU (MIG): clocks, power and temperature are those of the whole.
        return nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvml.nvmlDeviceGetHandleByUUID(f"MIG-{plain}"))


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
