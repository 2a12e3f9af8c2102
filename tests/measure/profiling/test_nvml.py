"""The sensors of a GPU, by a library that stands in for nvidia-ml-py."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

from convcost.measure.profiling.nvml import Sensors
from convcost.profiles import Condition

UUID = "1ab0c2de-0000-1111-2222-333344445555"


class NVMLError(Exception):
    pass


def refuses(*_):
    raise NVMLError("Not Supported")


@pytest.fixture
def library(monkeypatch):
    """A driver that knows one GPU, which draws 350 W at 1,980 MHz and is held back by its power cap."""

    def by_uuid(uuid):
        return uuid if uuid == f"GPU-{UUID}" else refuses()

    made = SimpleNamespace(
        NVMLError=NVMLError, NVML_CLOCK_SM=1, NVML_TEMPERATURE_GPU=0, nvmlInit=lambda: None,
        nvmlSystemGetDriverVersion=lambda: b"580.1", nvmlDeviceGetHandleByUUID=by_uuid,
        nvmlDeviceGetHandleByIndex=lambda index: index, nvmlDeviceGetClockInfo=lambda handle, kind: 1980,
        nvmlDeviceGetPowerUsage=lambda handle: 350_000, nvmlDeviceGetTemperature=lambda handle, kind: 60,
        # 0x4 is the power cap; 0x1, that it is idle, holds nothing back.
        nvmlDeviceGetCurrentClocksEventReasons=lambda handle: 0x5,
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "pynvml", made)
    return made


def test_what_the_driver_says(library):
    sensors = Sensors(UUID)
    assert (sensors.missing, sensors.driver) == ("", "580.1")
    assert sensors.look(7) == Condition(7, 1_980_000_000, 350.0, 60, ("power cap",))


def test_what_it_does_not_say_stays_unknown(library):
    library.nvmlDeviceGetPowerUsage = refuses
    assert Sensors(UUID).look(7) == Condition(7, 1_980_000_000, None, 60, ("power cap",))


def test_an_older_library_has_another_name_for_the_reasons(library):
    library.nvmlDeviceGetCurrentClocksThrottleReasons = library.nvmlDeviceGetCurrentClocksEventReasons
    del library.nvmlDeviceGetCurrentClocksEventReasons
    assert Sensors(UUID).look(7).throttled == ("power cap",)


def test_part_of_a_gpu_is_asked_for_by_its_own_name_and_the_whole_answers(library):
    library.nvmlDeviceGetHandleByUUID = lambda uuid: uuid if uuid == f"MIG-{UUID}" else refuses()
    library.nvmlDeviceGetDeviceHandleFromMigDeviceHandle = lambda handle: ("whole", handle)
    library.nvmlDeviceGetClockInfo = lambda handle, kind: 1000 if handle == ("whole", f"MIG-{UUID}") else refuses()
    for uuid in (UUID, f"MIG-{UUID}"):
        assert Sensors(uuid).look(7).clock_hz == 1_000_000_000


def test_an_older_pytorch_knows_no_uuid(library):
    library.nvmlDeviceGetClockInfo = lambda handle, kind: 1000 if handle == 3 else refuses()
    assert Sensors("", 3).look(7).clock_hz == 1_000_000_000


def test_without_the_library_or_where_it_refuses_there_is_nothing(library, monkeypatch):
    library.nvmlInit = refuses
    refused = Sensors(UUID)
    assert refused.look(7) is None
    assert "Not Supported" in refused.missing
    monkeypatch.setitem(sys.modules, "pynvml", None)
    missing = Sensors(UUID)
    assert missing.look(7) is None
    assert "pip install nvidia-ml-py" in missing.missing
