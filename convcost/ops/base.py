"""The base class of all ops, the records that its rules return, and the registry of ops.

A rule that holds for one op only belongs to the class of that op.
"""

# No ``from __future__ import annotations`` here: msgspec would evaluate the annotations of ``Op`` again for each class.
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args

import msgspec

from ..errors import OpError, as_written, nearest
from ..precision import AutocastClass
from ..tensor import Shape, Tensor, Weight

Positive = Annotated[int, msgspec.Meta(ge=1)]
NonNegative = Annotated[int, msgspec.Meta(ge=0)]
Probability = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]

# A union of a constrained int and a *fixed-length* tuple corrupts memory in msgspec 0.18 to 0.22; tuples of any
# length do not, so each op checks the lengths.
Sizes = Positive | tuple[Positive, ...]
"""One positive integer for all spatial dimensions, or one for each."""
Margins = NonNegative | tuple[NonNegative, ...]
"""Like Sizes, but 0 is allowed."""

Group = Literal["conv", "fc", "attention", "norm", "activation", "pool", "other"]
GROUPS: tuple[Group, ...] = ("conv", "fc", "attention", "norm", "activation", "pool", "other")

Tensors = tuple[Tensor, ...]
Counts = Mapping[str, int]
"""Elementary operations by kind; the kinds are ``flop_counts.KINDS``."""


class Placement(msgspec.Struct, frozen=True, gc=False):
    """The memory of an output: newly allocated (``fresh``), or an input's (a ``view``, or overwritten ``in_place``)."""

    kind: Literal["fresh", "view", "in_place"]
    input: int = 0


FRESH = Placement("fresh")
VIEW = Placement("view")
IN_PLACE = Placement("in_place")


class Reach(msgspec.Struct, frozen=True, gc=False):
    """The input positions on which one output position depends, for the receptive field.

    ``kind``: "point" (the same position), "window" (per spatial dimension a kernel extent, stride and padding before;
    ``up`` is the stride of a transposed convolution or the factor of an upsampling), "global" (all positions),
    "permute" (dimensions reordered by ``dims``), "merge" (positions merged into other dimensions), or "unknown"
    (not modelled, reported as unknown).
    """

    kind: Literal["point", "window", "global", "permute", "merge", "unknown"]
    extent: Shape = ()
    stride: Shape = ()
    before: Shape = ()
    up: Shape = ()
    dims: Shape = ()


POINT = Reach("point")
GLOBAL = Reach("global")
MERGE = Reach("merge")
UNKNOWN = Reach("unknown")


Kernels = Literal["cuda", "cpu", "meta"]
"""The backend whose kernels run. Backends save different tensors; "meta" is the CPU with attention in separate ops."""


class Saved(msgspec.Struct, frozen=True, gc=False):
    """The tensors that autograd saves in a call for the backward pass.

    ``inputs`` and ``outputs`` are numbers of saved inputs and outputs; the whole storage of each is retained. ``extra``
    are tensors that only autograd references: statistics, indices, masks, copies. Parameters and buffers are not
    listed, since they exist in any case.
    """

    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    extra: Tensors = ()


NOTHING = Saved()
INPUT = Saved(inputs=(0,))
OUTPUT = Saved(outputs=(0,))


class ExplanationStep(msgspec.Struct, frozen=True):
    """One line of an explanation: ``label``: ``formula`` = ``substitution`` = ``value``.

    ``unit`` tells renderers how to print a number: "count", "bytes", "shape" or "".
    """

    label: str
    formula: str
    substitution: str
    value: int | float | Shape | str
    unit: str = "count"


class Op(msgspec.Struct, frozen=True, gc=False):
    """An operation: its fields are those of the spec language, its methods are its rules.

    A subclass defines its fields (with PyTorch's names, defaults and meanings) and overrides the rules that differ from
    the defaults below. ``outputs`` and ``work`` have no default: an op without them cannot be registered.

    ``inputs`` is always a tuple of tensors, in the order of the node's inputs.
    """

    op: ClassVar[str]
    group: ClassVar[Group] = "other"
    arity: ClassVar[tuple[int, int | None]] = (1, 1)
    """Smallest and largest number of inputs; a largest number of None means no limit."""
    autocast: ClassVar[AutocastClass] = "keep"
    """The class of the op in PyTorch's table of CUDA autocast."""
    cudnn: ClassVar[bool] = False
    """True if cuDNN computes its multiply-accumulates, which use TF32 for float32 unless TF32 is disabled."""
    modelled: ClassVar[bool] = True
    """False for operators without a rule; the coverage in a report names them."""
    nn_class: ClassVar[str] = ""
    """The class of torch.nn for this op, if its constructor takes all fields of the bound op by name."""
    method: ClassVar[str] = ""
    """The method of torch.Tensor for this op, if it takes all fields by name; with ``inplace`` it is ``method_``."""
    keeps: ClassVar[Saved | None] = None
    """The tensors that autograd saves in every call; an op without it overrides ``saved``."""
    passes_gradient: ClassVar[bool] = True
    """False if its outputs need no gradient even if its inputs do."""
    input_dtype: ClassVar[str] = "float32"
    """The default dtype of its input; an embedding reads int64 indices."""
    inferred_fields: ClassVar[tuple[str, ...]] = ()
    """The fields that ``bind`` infers from the inputs, such as ``in_channels``. Layers that differ only in these differ
    because of the layers before them: a comparison lists them as resized, not as changed."""
    merges_branches: ClassVar[bool] = False
    """True if an exported spec may use the op as the ``merge`` of branches."""
    within_attention: ClassVar[bool] = False
    """True if it can lie between the matrix products and the softmax of attention: it scales, masks or moves values."""
    abbreviation: ClassVar[str] = ""
    """Its name within the name of a short block (``conv_bn_relu``). Default: ``op``."""

    @property
    def reported_group(self) -> Group:
        """The group in which its figures are reported. Default: ``group``."""
        return self.group

    def bind(self, inputs: Tensors) -> "Op":
        """The op with the sizes that it infers from its inputs (``in_channels``), as a PyTorch module has them.

        Args:
            inputs: the input tensors, with any batch size.

        Raises:
            OpError: the op does not accept the inputs, or they contradict a size given in a field.
        """
        return self

    def check(self, inputs: Tensors) -> None:
        """Check the inputs. Raises OpError with the numbers in conflict if the op does not accept them."""

    def outputs(self, inputs: Tensors) -> Tensors:
        """Shapes and dtypes of the outputs, for inputs that pass ``check``."""
        raise NotImplementedError

    def weights(self) -> tuple[Weight, ...]:
        """Parameters and buffers of the bound op, in PyTorch's order and shapes."""
        return ()

    def macs(self, inputs: Tensors, outputs: Tensors) -> int:
        """The number of multiply-accumulates."""
        return 0

    @property
    def uncounted(self) -> str:
        """The reason why PyTorch's and fvcore's counters count none of its MACs. Default "": they count all."""
        return ""

    def torch_flops(self, inputs: Tensors, outputs: Tensors) -> int:
        """The FLOPs that torch.utils.flop_counter reports. Default: 2 for each multiply-accumulate."""
        return 0 if self.uncounted else 2 * self.macs(inputs, outputs)

    def fvcore_flops(self, inputs: Tensors, outputs: Tensors, train: bool) -> int:
        """The FLOPs that fvcore 0.1.5 reports. Default: 1 for each multiply-accumulate."""
        return 0 if self.uncounted else self.macs(inputs, outputs)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        """Elementary operations other than multiply-accumulates, by kind; ``{}`` if there are none."""
        raise NotImplementedError

    def placement(self, inputs: Tensors, train: bool) -> tuple[Placement, ...]:
        """The memory of each output. Default: one fresh output."""
        return (FRESH,)

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved | None:
        """The tensors that autograd saves in a training call whose output needs a gradient. Default: ``keeps``.

        Args:
            needs: for each input, whether it needs a gradient.
            kernels: the backend.

        Returns:
            None if they are unknown; a memory report names the op.
        """
        return self.keeps

    def gradient_in_result(self, inputs: Tensors, outputs: Tensors) -> tuple[bool, ...]:
        """For each input, whether its gradient lies in the memory of the output's, so that backward allocates none.

        Default: True if the output is a view of all elements of the first input. The gradient of a partial view is
        copied into zeros.
        """
        view = self.placement(inputs, True)[0].kind == "view"
        return tuple([view and x.elements == outputs[0].elements for x in inputs])

    def transient(self, inputs: Tensors, outputs: Tensors, train: bool, kernels: Kernels) -> int:
        """Peak bytes of the temporary tensors of a call without gradients, beside inputs, outputs and weights.

        Workspaces inside a kernel are not included. Default: 0.
        """
        return 0

    def reads(self, inputs: Tensors, outputs: Tensors) -> int:
        """Bytes that are read from the inputs, without weights. Default: all bytes of every input."""
        return sum(tensor.bytes for tensor in inputs)

    def weights_read(self, inputs: Tensors, weight_bytes: int) -> int:
        """Bytes that are read from the weights and buffers, out of ``weight_bytes``. Default: all."""
        return weight_bytes

    def launches(self, inputs: Tensors, train: bool) -> int:
        """Kernels that eager PyTorch launches on CUDA; a library call counts as one. Default: 1."""
        return 1

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        """The input positions on which an output position depends. Default: the same position."""
        return POINT

    def connection_count(self, inputs: Tensors, outputs: Tensors) -> int:
        """Connections as LeCun et al. 1998 count them: for each output, its weighted inputs and its bias."""
        return self.macs(inputs, outputs) + self.work(inputs, outputs, False).get("bias", 0)

    def warnings(self, inputs: Tensors) -> tuple[str, ...]:
        """Sentences about the layer that the user should know, although it is valid."""
        return ()

    def training_warnings(self, inputs: Tensors) -> tuple[str, ...]:
        """Sentences about the layer that the user should know before training."""
        return ()

    def steps(self, inputs: Tensors, outputs: Tensors) -> tuple[ExplanationStep, ...]:
        """The arithmetic of the output shape, parameters and MACs, as formulas with the numbers substituted."""
        return ()

    def to_torch(self) -> Any:
        """The bound op as a PyTorch module (``torch.nn.Module``) on PyTorch's default device.

        Its ``forward`` takes the node's inputs as separate arguments and returns a tensor or a tuple of tensors. Its
        parameters and buffers have the names and shapes of ``weights()``. It is built from the fields alone and calls
        none of the rules above, so that PyTorch is an independent check of them. It works on any device, in training
        and evaluation. Default: ``nn_class`` or ``method``.
        """
        from .torch_modules import layers

        fields = msgspec.structs.asdict(self)
        return layers.layer(self.nn_class, fields) if self.nn_class else layers.Method(self.method, fields)


class Part(msgspec.Struct, frozen=True):
    """One op of a composite: each of ``inputs`` is ("input", k) or (name of an earlier part, number of its output)."""

    name: str
    op: Op
    inputs: tuple[tuple[str, int], ...]


class Composite(Op, frozen=True, gc=False):
    """An op that a spec writes as one layer and that runs as several ops: it defines parts in place of rules."""

    keeps = NOTHING  # its parts declare what they save

    def parts(self, inputs: Tensors) -> tuple[Part, ...]:
        """The ops that replace it, in execution order; the output of the last one is the output."""
        raise NotImplementedError

    def outputs(self, inputs: Tensors) -> Tensors:
        raise OpError(f"{self.op} is expanded into its parts when a graph is built")

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        raise OpError(f"{self.op} is expanded into its parts when a graph is built")

    def to_torch(self) -> Any:
        raise OpError(f"{self.op} is expanded into its parts when a graph is built")


REGISTRY: dict[str, type[Op]] = {}

OpClass = TypeVar("OpClass", bound=type[Op])


def register(cls: OpClass) -> OpClass:
    """Class decorator that registers an op under its ``op`` name.

    Raises:
        TypeError: the name is taken; the class has no PyTorch module, or no rule for ``outputs``, ``work`` or the
            tensors that autograd saves; or ``inferred_fields`` names a field that the class does not have.
    """
    for rule in ("outputs", "work"):
        if getattr(cls, rule) is getattr(Op, rule):
            raise TypeError(f"{cls.__name__} has no rule {rule!r}; an op without cost must define it too")
    if cls.keeps is None and cls.saved is Op.saved:
        raise TypeError(f"{cls.__name__} does not declare what autograd saves: it needs keeps, or a rule 'saved'")
    if cls.to_torch is Op.to_torch and not (cls.nn_class or cls.method):
        raise TypeError(
            f"{cls.__name__} has no PyTorch module: it needs an nn_class, a method, or a to_torch of its own"
        )
    if not set(cls.inferred_fields) <= set(cls.__struct_fields__):
        raise TypeError(f"{cls.__name__} has no field for some of its inferred_fields {cls.inferred_fields}")
    if cls.op in REGISTRY:
        raise TypeError(f"op {cls.op!r} is already registered: {REGISTRY[cls.op].__name__}")
    REGISTRY[cls.op] = cls
    return cls


def make(name: str, fields: Mapping[str, object]) -> Op:
    """An op from its name and fields.

    Raises:
        OpError: unknown op or field, missing field, wrong type, or a value out of range.
    """
    cls = REGISTRY.get(name)
    if cls is None:
        raise OpError(f"unknown op {name!r}{nearest(name, REGISTRY)}")
    for field in fields:
        if field not in cls.__struct_fields__:
            raise OpError(unknown_field(cls, field))
    required = cls.__struct_fields__[: len(cls.__struct_fields__) - len(cls.__struct_defaults__)]
    missing = [field for field in required if field not in fields]
    if missing:
        raise OpError(f"{cls.op} needs {' and '.join(missing)}")
    try:
        return msgspec.convert(fields, cls)
    except msgspec.ValidationError as error:
        raise OpError(_readable(str(error), cls, fields)) from None


def unknown_field(cls: type[Op], field: str) -> str:
    """The message for a field that an op does not have."""
    fields = cls.__struct_fields__
    allowed = f"allowed: {', '.join(fields)}" if fields else "it has no fields"
    return f"{cls.op} has no field {field!r}{nearest(field, fields)} ({allowed})"


_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "array": "a list", "str": "a text"}


def _readable(message: str, cls: type[Op], fields: Mapping[str, object]) -> str:
    """msgspec's 'Expected `int` >= 1, got `str` - at `$.kernel_size`', rewritten to begin with field and value."""
    problem, _, path = message.partition(" - at `$.")
    field = re.split(r"[`.\[]", path)[0]
    value = f"{cls.op}: {field} is {as_written(fields.get(field))}"
    if problem.startswith("Invalid enum value"):
        choices = _texts(next(each.type for each in msgspec.structs.fields(cls) if each.name == field))
        return f"{value}, expected {', '.join(choices)}{nearest(str(fields[field]), choices)}"
    kinds, _, bounds = problem.partition(", got ")[0].removeprefix("Expected `").partition("`")
    return f"{value}, expected {' or '.join(_KINDS.get(kind, kind) for kind in kinds.split(' | '))}{bounds}"


def _texts(kind: object) -> list[str]:
    """The strings that the type of a field allows."""
    inner = get_args(kind)
    return [text for part in inner for text in ([part] if isinstance(part, str) else _texts(part))]
