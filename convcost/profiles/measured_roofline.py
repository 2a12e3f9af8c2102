"""Measured ceilings as the roofline takes them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ..analysis.report import Report
from ..analysis.roofline import Ceilings, Roofline, roofline
from ..precision import PRECISIONS, precision_of
from .profile import Profile
from .runs import Ceiling, Environment, Run, Setting

NO_TF32 = "False"


def measured_ceilings(tops: Sequence[Ceiling], where: Environment, setting: Setting) -> Ceilings | None:
    """What this device did at its best, for layers of this setting; None if it was not measured.

    What is no multiply-accumulate is held against float32 products without tensor cores, the fastest that vector units
    are known to do.
    """
    copy = next((top for top in tops if top.what == "copy"), None)
    rates = {(top.dtype, top.tf32): top for top in tops if top.what == "matmul"}
    convs = {(top.dtype, top.tf32): top for top in tops if top.what == "conv"}
    low = precision_of(setting.dtype).compute
    plain = rates.get(("float32", False)) or rates.get(("float32", None))
    if copy is None or plain is None:
        return None

    def product(dtype: str, tf32: bool) -> Ceiling | None:
        if dtype != "float32":
            return rates.get((dtype, None))
        return rates.get(("float32", tf32), plain)

    def made(dtype: str) -> Ceilings | None:
        in_convs, matmul = (product(dtype, _tf32(where, setting, part)) for part in ("cudnn", "cuda.matmul"))
        if in_convs is None or matmul is None:
            return None
        # Convolutions may be made of matrix products, or have better kernels of their own.
        conv = max(in_convs, convs.get((dtype, in_convs.tf32), in_convs), key=lambda top: top.per_s)
        return Ceilings(
            device=where.device_name,
            conv_flops_per_s=conv.per_s, matmul_flops_per_s=matmul.per_s, vector_flops_per_s=plain.per_s,
            bytes_per_s=copy.per_s,
            words={
                "conv_flops_per_s": _words(conv), "matmul_flops_per_s": _words(matmul),
                "vector_flops_per_s": _words(plain), "bytes_per_s": f"measured: a copy of {copy.shape}",
            },
        )  # fmt: skip

    own = made(low)
    if own is None:
        return None
    dtypes = {each.compute for each in PRECISIONS.values()} - {low}
    others = {dtype: found for dtype in sorted(dtypes) if (found := made(dtype))}
    return msgspec.structs.replace(own, others=others)


def roofline_of_run(profile: Profile, run: Run, report: Report) -> Roofline | None:
    """The roofline of a network under the ceilings that were measured with it; None if they were not."""
    found = measured_ceilings(profile.ceilings, profile.environment, run.setting)
    return roofline(report, found) if found is not None else None


def _tf32(where: Environment, setting: Setting, part: str) -> bool:
    """Whether this part of PyTorch used TF32: as the setting says, else as its switch stood."""
    if setting.tf32 is not None:
        return setting.tf32
    return where.flags.get(f"torch.backends.{part}.allow_tf32", NO_TF32) != NO_TF32


def _words(top: Ceiling) -> str:
    mode = "" if top.tf32 is None else ", TF32" if top.tf32 else ", no TF32"
    return f"measured: {top.dtype}{mode}, {top.shape}"
