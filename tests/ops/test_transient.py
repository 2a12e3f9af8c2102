"""What each op says that PyTorch holds while it runs, against the storages that come and go in a run on meta."""

from __future__ import annotations

import pytest

from ops.test_torch_modules import STEPS, filled, module_of

torch = pytest.importorskip("torch")

from convcost.capture.lifetimes import Lifetimes  # noqa: E402
from support.memory_oracles import peak  # noqa: E402

UNKNOWN = {"lstm", "gru", "rnn", "unmodelled"}  # cuDNN's own, or PyTorch's loops: what they keep is not known either


@pytest.mark.parametrize(("op", "inputs"), STEPS.values(), ids=STEPS)
def test_what_a_call_holds(op, inputs):
    if op.op in UNKNOWN:
        pytest.skip("not modelled")
    module = module_of(op, "meta", train=False)
    arrays = filled(inputs, "meta")
    names = [(str(k), x) for k, x in enumerate(arrays)]
    watch = Lifetimes((*module.parameters(), *module.buffers()), names)
    with torch.no_grad(), torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH), watch:
        module(*arrays)
    given = sum(x.untyped_storage().nbytes() for x in arrays)
    outputs = op.outputs(inputs)
    fresh = sum(y.bytes for y, place in zip(outputs, op.placement(inputs, False), strict=True) if place.kind == "fresh")
    held = op.transient(inputs, outputs, False, "meta")
    assert peak(watch.allocations()) - given - fresh == held
