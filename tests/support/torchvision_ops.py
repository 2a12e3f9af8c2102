"""torchvision on the meta device, where no compiled torchvision fits the installed torch.

A CPU build of torch has no matching torchvision binary on PyPI. The Python half of torchvision is all that an
architecture needs, but it registers shape rules for its compiled operators while it is imported, and so fails
without them. Here those operators are declared (schemas only, no kernels), and torchvision registers its own
shape and gradient rules on top: networks build and run on the meta device, and a call that needs a real kernel
fails with PyTorch's own "could not run" error.

Install with ``pip install torchvision==0.28.0 --no-deps`` beside torch 2.13.0; it needs numpy and pillow.
"""

from __future__ import annotations

import importlib
import warnings
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING
from unittest import mock

if TYPE_CHECKING:
    from torch.library import Library

_POOLED = "float spatial_scale, SymInt pooled_height, SymInt pooled_width"
_IMAGE = "SymInt batch_size, SymInt channels, SymInt height, SymInt width"
_QUANTISED = "float input_scale, int input_zero_point, float rois_scale, int rois_zero_point"
_DEFORMED = (
    "Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, SymInt stride_h, SymInt stride_w, "
    "SymInt pad_h, SymInt pad_w, SymInt dilation_h, SymInt dilation_w, SymInt groups, SymInt offset_groups, "
    "bool use_mask"
)

# What torchvision 0.28 declares in C++; the order of the arguments is what its Python half passes.
SCHEMAS = (
    "_cuda_version() -> int",
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "box_iou_rotated(Tensor boxes1, Tensor boxes2) -> Tensor",
    f"roi_align(Tensor input, Tensor rois, {_POOLED}, int sampling_ratio, bool aligned) -> Tensor",
    f"_roi_align_backward(Tensor grad, Tensor rois, {_POOLED}, {_IMAGE}, int sampling_ratio, bool aligned) -> Tensor",
    f"qroi_align(Tensor input, Tensor rois, {_QUANTISED}, {_POOLED}, int sampling_ratio, bool aligned) -> Tensor",
    f"roi_pool(Tensor input, Tensor rois, {_POOLED}) -> (Tensor, Tensor)",
    f"_roi_pool_backward(Tensor grad, Tensor rois, Tensor argmax, {_POOLED}, {_IMAGE}) -> Tensor",
    f"ps_roi_align(Tensor input, Tensor rois, {_POOLED}, int sampling_ratio) -> (Tensor, Tensor)",
    f"_ps_roi_align_backward(Tensor grad, Tensor rois, Tensor channel_mapping, {_POOLED}, int sampling_ratio, "
    f"{_IMAGE}) -> Tensor",
    f"ps_roi_pool(Tensor input, Tensor rois, {_POOLED}) -> (Tensor, Tensor)",
    f"_ps_roi_pool_backward(Tensor grad, Tensor rois, Tensor channel_mapping, {_POOLED}, {_IMAGE}) -> Tensor",
    f"deform_conv2d({_DEFORMED}) -> Tensor",
    f"_deform_conv2d_backward(Tensor grad, {_DEFORMED}) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
)


def import_torchvision() -> ModuleType:
    """Import torchvision, with its operators declared where its own compiled extension cannot be loaded.

    Raises ImportError if torch or torchvision is not installed, or if the two do not go together.
    """
    torch = importlib.import_module("torch")
    spec = find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("No module named 'torchvision'", name="torchvision")
    missing = not _own_extension_loads(Path(next(iter(spec.submodule_search_locations))))
    load_library = torch.ops.load_library

    def load_all_but_own(path: str) -> None:
        # torchvision asks for its extension again; with the operators declared it may believe that it got it,
        # because only then does it register its shape and gradient rules.
        if not _is_own_extension(Path(path)):
            load_library(path)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a foreign package's import, under pytest's -W error
        try:
            if not missing:
                return importlib.import_module("torchvision")
            _declare_operators()
            with mock.patch.object(torch.ops, "load_library", load_all_but_own):
                return importlib.import_module("torchvision")
        except RuntimeError as error:
            raise ImportError(f"torchvision does not go with torch {torch.__version__}: {error}") from error


def _own_extension_loads(package: Path) -> bool:
    import torch

    for path in package.iterdir():
        if _is_own_extension(path):
            try:
                torch.ops.load_library(str(path))
            except OSError:  # built for another torch, or against CUDA libraries that are not here
                return False
            return True
    return False


def _is_own_extension(path: Path) -> bool:
    return path.name in {f"_C{suffix}" for suffix in (*EXTENSION_SUFFIXES, ".pyd")}


@cache  # declared once; the cache keeps the library alive, and with it its operators
def _declare_operators() -> Library:
    from torch.library import Library

    library = Library("torchvision", "DEF")
    for schema in SCHEMAS:
        library.define(schema)
    library.impl("_cuda_version", lambda: -1, "CompositeExplicitAutograd")  # -1: built without CUDA
    return library
