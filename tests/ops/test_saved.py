"""What each op says that autograd keeps, against PyTorch's hooks on saved tensors: the same storages, so the same bytes."""

from __future__ import annotations

from collections import Counter

import pytest

from convcost.graph import FLOATING
from ops.test_twins import STEPS, WITHOUT_GRADIENT, filled, together, twin

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")


def cdata(tensor):
    return tensor.untyped_storage()._cdata


def watched(module, arrays):
    """What ``module`` gives, and every storage that autograd keeps of the call: its key and bytes."""
    kept, alive = {}, []

    def pack(tensor):
        alive.append(tensor.untyped_storage())
        kept[cdata(tensor)] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs = together(module(*arrays))
    return outputs, kept, alive


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize(("op", "inputs"), STEPS.values(), ids=STEPS)
def test_what_is_kept(op, inputs, device):
    if op.op in WITHOUT_GRADIENT or op.op == "unmodelled":
        pytest.skip("nothing that a gradient flows through")
    if device == "cpu" and any("operator" in part for part in (op.op,)):
        pytest.skip("a registered operator")
    module = twin(op, device, train=True)
    arrays = filled(inputs, device)
    before = [cdata(x) for x in arrays]
    own = {cdata(x) for x in (*module.parameters(), *module.buffers())}
    outputs, kept, alive = watched(module, arrays)
    needs = tuple(x.dtype in FLOATING for x in inputs)
    rule = op.saved(inputs, op.outputs(inputs), needs, device)
    if rule is None:
        pytest.skip("not known")
    for key in own:
        kept.pop(key, None)
    wanted = {before[k] for k in rule.inputs} | {cdata(outputs[k]) for k in rule.outputs} - own
    found = {key for key in kept if key in before or key in {cdata(y) for y in outputs}}
    name = {key: f"input {k}" for k, key in enumerate(before)} | {cdata(y): f"output {k}" for k, y in enumerate(outputs) if cdata(y) not in before}
    assert {name[k] for k in found} == {name[k] for k in wanted}
    extra = Counter(size for key, size in kept.items() if key not in found)
    assert extra == Counter(x.bytes for x in rule.extra)
