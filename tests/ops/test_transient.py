"""The rule ``transient`` of each op against the storages that a run on the meta device allocates and frees."""

from __future__ import annotations

import pytest

from ops.test_torch_modules import STEPS, filled, module_of

torch = pytest.importorskip("torch")

from convcost.capture.lifetimes import Lifetimes  # noqa: E402
from support.memory_oracles import peak  # noqa: E402

UNKNOWN = {"lstm", "gru", "rnn", "unmodelled"}  # temporaries of cuDNN or of PyTorch's loops


@pytest.mark.parametrize(("op", "inputs"), STEPS.values(), ids=STEPS)
def test_transient_is_the_peak_of_temporaries(op, inputs):
    if op.op in UNKNOWN:
        pytest.skip("not modelled")
    module = module_of(op, "meta", train=False)
    arrays = filled(inputs, "meta")
    names = [(str(k), x) for k, x in enumerate(arrays)]
    watch = Lifetimes((*module.parameters(), *module.buffers()), names)
    with torch.no_grad(), torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH), watch:
        module(*arrays)
    input_bytes = sum(x.untyped_storage().nbytes() for x in arrays)
    outputs = op.outputs(inputs)
    fresh = sum(y.bytes for y, place in zip(outputs, op.placement(inputs, False), strict=True) if place.kind == "fresh")
    temporary = op.transient(inputs, outputs, False, "meta")
    assert peak(watch.allocations()) - input_bytes - fresh == temporary
