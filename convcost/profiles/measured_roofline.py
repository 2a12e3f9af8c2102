"""Rooflines under measured ceilings: the rates that a profile's device reached, in the form that ``roofline`` takes."""

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
    """The measured ceilings for the layers of a setting; None if one of the rates was not measured.

    Operations other than multiply-accumulates have the rate of float32 matrix products without tensor cores, the
    highest rate of the vector units that was measured.
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

    def ceilings(dtype: str) -> Ceilings | None:
        in_convs, matmul = (product(dtype, _tf32(where, setting, part)) for part in ("cudnn", "cuda.matmul"))
        if in_convs is None or matmul is None:
            return None
        # cuDNN computes convolutions as matrix products or with faster kernels of their own.
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

    main = ceilings(low)
    if main is None:
        return None
    dtypes = {precision.compute for precision in PRECISIONS.values()} - {low}
    others = {dtype: other for dtype in sorted(dtypes) if (other := ceilings(dtype))}
    return msgspec.structs.replace(main, others=others)


def roofline_of_run(profile: Profile, run: Run, report: Report) -> Roofline | None:
    """The roofline of a network under the ceilings of its profile; None if they were not measured."""
    ceilings = measured_ceilings(profile.ceilings, profile.environment, run.setting)
    return roofline(report, ceilings) if ceilings is not None else None


def _tf32(where: Environment, setting: Setting, part: str) -> bool:
    """True if this backend used TF32: by the setting, else by PyTorch's flag at the time of the run."""
    if setting.tf32 is not None:
        return setting.tf32
    return where.flags.get(f"torch.backends.{part}.allow_tf32", NO_TF32) != NO_TF32


def _words(top: Ceiling) -> str:
    mode = "" if top.tf32 is None else ", TF32" if top.tf32 else ", no TF32"
    return f"measured: {top.dtype}{mode}, {top.shape}"
