"""The rule ``saved`` of each op against PyTorch's hooks on saved tensors, storage by storage."""

from __future__ import annotations

from collections import Counter

import pytest

from convcost.tensor import FLOATING
from ops.test_torch_modules import STEPS, WITHOUT_GRADIENT, filled, module_of, together

torch = pytest.importorskip("torch")

from support.memory_oracles import key  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")


def watched(module, arrays):
    """The outputs of ``module``, and the key and bytes of every storage that autograd saves."""
    kept, alive = {}, []

    def pack(tensor):
        alive.append(tensor.untyped_storage())  # an address is reused after its storage is freed
        kept[key(tensor)] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs = together(module(*arrays))
    return outputs, kept


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize(("op", "inputs"), STEPS.values(), ids=STEPS)
def test_saved_tensors_are_those_of_pytorch(op, inputs, device):
    if op.op in WITHOUT_GRADIENT or op.op == "unmodelled":
        pytest.skip("no gradient flows through it")
    if device == "cpu" and op.op == "operator":
        pytest.skip("a registered operator has no kernel")
    module = module_of(op, device, train=True)
    arrays = filled(inputs, device)
    before = [key(x) for x in arrays]
    own = {key(x) for x in (*module.parameters(), *module.buffers())}
    outputs, kept = watched(module, arrays)
    rule = op.saved(inputs, op.outputs(inputs), tuple(x.dtype in FLOATING for x in inputs), device)
    if rule is None:
        pytest.skip("not known")
    kept = {storage: size for storage, size in kept.items() if storage not in own}
    after = [key(y) for y in outputs]
    seen = {storage for storage in kept if storage in (*before, *after)}
    assert seen == {before[k] for k in rule.inputs} | {after[k] for k in rule.outputs} - own
    assert Counter(size for storage, size in kept.items() if storage not in seen) == Counter(
        x.bytes for x in rule.extra
    )
