"""Reads the sensors of a GPU with NVIDIA's management library (NVML, package nvidia-ml-py), if it is installed."""

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
"""Bits of nvmlDeviceGetCurrentClocksEventReasons that mean that a busy GPU runs below its usual clock rate.

Other bits mean that the GPU is idle or that a user has set the clock rate.
"""


class Sensors:
    """The sensors of one GPU. If they cannot be read, ``missing`` says why and ``look`` returns None.

    Args:
        uuid: the GPU's UUID, because NVML and CUDA can number GPUs differently; "" if PyTorch does not report it.
        index: the GPU's index in NVML, used if there is no UUID.
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
            self.missing = f"the sensors cannot be read: {error}"

    def look(self, at_ns: int) -> Condition | None:
        """Read clock rate, power, temperature and reasons for throttling. ``at_ns``: the time, for the record."""
        nvml, handle = self._nvml, self._handle
        if nvml is None:
            return None
        readings: dict[str, Any] = {}
        # A driver may lack any of these sensors, so each is read separately.
        with suppress(nvml.NVMLError):
            readings["clock_hz"] = nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM) * 1_000_000
        with suppress(nvml.NVMLError):
            readings["power_w"] = nvml.nvmlDeviceGetPowerUsage(handle) / 1000
        with suppress(nvml.NVMLError):
            readings["temperature_c"] = nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)
        with suppress(nvml.NVMLError):
            # Older versions of the library have only the older name.
            newer = hasattr(nvml, "nvmlDeviceGetCurrentClocksEventReasons")
            function = f"nvmlDeviceGetCurrentClocks{'Event' if newer else 'Throttle'}Reasons"
            bits = getattr(nvml, function)(handle)
            readings["throttled"] = tuple(reason for bit, reason in REASONS.items() if bits & bit)
        return Condition(at_ns, **readings) if readings else None


def _handle(nvml: Any, uuid: str, index: int) -> Any:
    if not uuid:
        return nvml.nvmlDeviceGetHandleByIndex(index)
    plain = uuid.removeprefix("GPU-").removeprefix("MIG-")
    try:
        return nvml.nvmlDeviceGetHandleByUUID(f"GPU-{plain}")
    except nvml.NVMLError:
        # A MIG partition: clock rate, power and temperature are those of the whole GPU.
        return nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvml.nvmlDeviceGetHandleByUUID(f"MIG-{plain}"))


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
