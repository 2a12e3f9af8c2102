"""What an op is, and the registry that knows all of them."""

# Annotations are not put off here: msgspec would work out those of ``Op`` once more for each class.
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
# length are sound, so lengths are checked by the op.
Sizes = Positive | tuple[Positive, ...]
"""One positive integer for all spatial dimensions, or one for each."""
Margins = NonNegative | tuple[NonNegative, ...]
"""Like Sizes, and 0 is allowed."""

Group = Literal["conv", "fc", "attention", "norm", "activation", "pool", "other"]
GROUPS: tuple[Group, ...] = ("conv", "fc", "attention", "norm", "activation", "pool", "other")

Tensors = tuple[Tensor, ...]
Counts = Mapping[str, int]
"""Elementary operations by kind; the kinds are listed in ``ops.counts.KINDS``."""


class Placement(msgspec.Struct, frozen=True, gc=False):
    """Where an output lives: in ``fresh`` memory, as a ``view`` of an input, or ``in_place`` on it."""

    kind: Literal["fresh", "view", "in_place"]
    input: int = 0


FRESH = Placement("fresh")
VIEW = Placement("view")
IN_PLACE = Placement("in_place")


class Reach(msgspec.Struct, frozen=True, gc=False):
    """Which input positions one output position depends on, for the receptive field.

    ``kind``: "point" (the same position), "window" (per spatial dimension a kernel extent, stride and padding before;
    ``up`` is the stride of a transposed convolution or the factor of an enlargement), "global" (all positions),
    "permute" (dimensions reordered by ``dims``), "merge" (positions folded into other dimensions), or "unknown"
    (not followed, shown as such).
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
"""Whose kernels run: they differ in what they keep. Meta tensors take the CPU's, with attention written out."""


class Saved(msgspec.Struct, frozen=True, gc=False):
    """What autograd keeps of a call for its backward pass.

    ``inputs`` and ``outputs`` by number, each with all of the memory that it lies in; ``extra`` are tensors that nobody
    else sees: statistics, indices, masks, copies. Parameters and buffers are kept anyway and not named.
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
    """An operation: its fields are its schema, its methods are its rules.

    A subclass gives its fields (PyTorch's names, defaults and meanings) and overrides what differs from the
    defaults below. ``outputs`` and ``work`` have no default: an op without them cannot be made.

    ``inputs`` is always a tuple of tensors, in the order of the node's inputs.
    """

    op: ClassVar[str]
    group: ClassVar[Group] = "other"
    arity: ClassVar[tuple[int, int | None]] = (1, 1)
    """Smallest and largest number of inputs; None: any number."""
    autocast: ClassVar[AutocastClass] = "keep"
    """How mixed precision treats it: PyTorch's table of CUDA autocast."""
    cudnn: ClassVar[bool] = False
    """True if its multiply-accumulates are cuDNN's, whose float32 may be TF32 unless somebody forbids it."""
    modelled: ClassVar[bool] = True
    """False for operators without a rule: they are named in a report's coverage."""
    nn_class: ClassVar[str] = ""
    """The class of torch.nn that it is in PyTorch, if that takes all fields of the bound op by their names."""
    method: ClassVar[str] = ""
    """The method of torch.Tensor that it is in PyTorch, with all fields by their names; with ``inplace``, ``method_``.
    """
    keeps: ClassVar[Saved | None] = None
    """What autograd keeps of every call; an op without it has a rule ``saved``."""
    passes_gradient: ClassVar[bool] = True
    """False if its results need no gradient, whatever its inputs do."""
    input_dtype: ClassVar[str] = "float32"
    """The dtype of its input where nobody says another; an embedding reads int64 indices."""
    inferred_fields: ClassVar[tuple[str, ...]] = ()
    """The fields that ``bind`` takes over from what arrives, such as ``in_channels``. Layers that differ in these alone
    differ because of the layers before them: a comparison calls them resized, and not changed."""
    merges_branches: ClassVar[bool] = False
    """True if the spec writer may write it as the ``merge`` of branches."""
    within_attention: ClassVar[bool] = False
    """True if it may stand between the matrix products and the softmax of attention: it scales, masks or moves."""
    abbreviation: ClassVar[str] = ""
    """What it is called in the name of a short block (``conv_bn_relu``). Default: ``op``."""

    @property
    def reported_group(self) -> Group:
        """The group that its figures are booked in. Default: its own."""
        return self.group

    def bind(self, inputs: Tensors) -> "Op":
        """The op with the sizes it takes over when it is built (``in_channels``), as a PyTorch module has them.

        Args:
            inputs: what arrives, with any batch size.

        Raises:
            OpError: if what arrives cannot be used, or contradicts a size that was written down.
        """
        return self

    def check(self, inputs: Tensors) -> None:
        """Refuse inputs that the op cannot take. Raises OpError with the numbers that clash."""

    def outputs(self, inputs: Tensors) -> Tensors:
        """Shapes and dtypes of the outputs; pure arithmetic, after ``check`` has passed."""
        raise NotImplementedError

    def weights(self) -> tuple[Weight, ...]:
        """Parameters and buffers of the bound op, in PyTorch's order and shapes."""
        return ()

    def macs(self, inputs: Tensors, outputs: Tensors) -> int:
        """Multiply-accumulates."""
        return 0

    @property
    def uncounted(self) -> str:
        """Why the counters of PyTorch and fvcore count none of its multiply-accumulates. Default "": they count all."""
        return ""

    def torch_flops(self, inputs: Tensors, outputs: Tensors) -> int:
        """What torch.utils.flop_counter counts for it. Default: 2 for each multiply-accumulate."""
        return 0 if self.uncounted else 2 * self.macs(inputs, outputs)

    def fvcore_flops(self, inputs: Tensors, outputs: Tensors, train: bool) -> int:
        """What fvcore 0.1.5 counts for it. Default: 1 for each multiply-accumulate."""
        return 0 if self.uncounted else self.macs(inputs, outputs)

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        """Elementary operations that are not multiply-accumulates, by kind. ``{}`` says: none."""
        raise NotImplementedError

    def placement(self, inputs: Tensors, train: bool) -> tuple[Placement, ...]:
        """Where each output lives. Default: one fresh output."""
        return (FRESH,)

    def saved(self, inputs: Tensors, outputs: Tensors, needs: tuple[bool, ...], kernels: Kernels) -> Saved | None:
        """What autograd keeps of a call in training, whose result needs a gradient. Default: ``keeps``.

        Args:
            needs: for each input, whether it needs a gradient.
            kernels: whose.

        Returns:
            None if it is not known: a memory report names the op.
        """
        return self.keeps

    def gradient_in_result(self, inputs: Tensors, outputs: Tensors) -> tuple[bool, ...]:
        """For each input, whether its gradient lies in that of the only result, so that backward allocates nothing.

        Default: where the result is a view of all elements of the first input. A view of a part gets zeros around it.
        """
        view = self.placement(inputs, True)[0].kind == "view"
        return tuple([view and x.elements == outputs[0].elements for x in inputs])

    def transient(self, inputs: Tensors, outputs: Tensors, train: bool, kernels: Kernels) -> int:
        """Most bytes that a call holds at once beside its inputs, outputs and weights, where no gradient is wanted.

        These are values that PyTorch makes on the way; workspaces inside a kernel are not among them. Default: 0.
        """
        return 0

    def reads(self, inputs: Tensors, outputs: Tensors) -> int:
        """Bytes of the inputs that are read, weights not included. Default: all of every input."""
        return sum(tensor.bytes for tensor in inputs)

    def weights_read(self, inputs: Tensors, weight_bytes: int) -> int:
        """Bytes of the weights and buffers that are read, of ``weight_bytes`` in all. Default: all."""
        return weight_bytes

    def launches(self, inputs: Tensors, train: bool) -> int:
        """Kernels that eager PyTorch starts for it on CUDA; a library call counts as one. Default: 1."""
        return 1

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        """How positions of the output depend on positions of the input."""
        return POINT

    def connection_count(self, inputs: Tensors, outputs: Tensors) -> int:
        """Connections as LeCun counts them: every weighted input of every output, and its bias."""
        return self.macs(inputs, outputs) + self.work(inputs, outputs, False).get("bias", 0)

    def warnings(self, inputs: Tensors) -> tuple[str, ...]:
        """What a user should know although it is no error."""
        return ()

    def training_warnings(self, inputs: Tensors) -> tuple[str, ...]:
        """What a user should know who wants to train."""
        return ()

    def steps(self, inputs: Tensors, outputs: Tensors) -> tuple[ExplanationStep, ...]:
        """The arithmetic of the output shape, the parameters and the MACs with the numbers filled in."""
        return ()

    def to_torch(self) -> Any:
        """The bound op as a PyTorch module (``torch.nn.Module``), made on PyTorch's default device.

        Its ``forward`` takes the node's inputs one by one and returns a tensor or a tuple of tensors. Its own
        parameters and buffers have the names and shapes of ``weights()``. It is built from the fields alone and asks
        none of the rules above, so that PyTorch is an independent check on them. It works on any device, in training
        and evaluation. Default: what ``nn_class`` or ``method`` says.
        """
        from .torch_modules import layers

        fields = msgspec.structs.asdict(self)
        return layers.layer(self.nn_class, fields) if self.nn_class else layers.Method(self.method, fields)


class Part(msgspec.Struct, frozen=True):
    """One op inside a composite: ``inputs`` are ("input", k) or (name of an earlier part, output)."""

    name: str
    op: Op
    inputs: tuple[tuple[str, int], ...]


class Composite(Op, frozen=True, gc=False):
    """An op that is written as one layer and executed as several: it has parts in place of rules."""

    keeps = NOTHING  # its parts do

    def parts(self, inputs: Tensors) -> tuple[Part, ...]:
        """The ops that it stands for, in order of execution; the last one gives the output."""
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
    """Class decorator: enter an op under its ``op`` name.

    Raises:
        TypeError: if the name is taken; if the class has no PyTorch module, or no rule for ``outputs``, ``work`` or
            what autograd keeps; or if ``inferred_fields`` names a field that it does not have.
    """
    for rule in ("outputs", "work"):
        if getattr(cls, rule) is getattr(Op, rule):
            raise TypeError(f"{cls.__name__} has no rule {rule!r}; an op that costs nothing says so in code")
    if cls.keeps is None and cls.saved is Op.saved:
        raise TypeError(f"{cls.__name__} does not say what autograd keeps: it needs keeps, or a rule 'saved'")
    if cls.to_torch is Op.to_torch and not (cls.nn_class or cls.method):
        raise TypeError(
            f"{cls.__name__} has no PyTorch module: it needs an nn_class, a method, or a to_torch of its own"
        )
    if not set(cls.inferred_fields) <= set(cls.__struct_fields__):
        raise TypeError(f"{cls.__name__} lacks some of its inferred_fields {cls.inferred_fields}")
    if cls.op in REGISTRY:
        raise TypeError(f"an op {cls.op!r} is registered already: {REGISTRY[cls.op].__name__}")
    REGISTRY[cls.op] = cls
    return cls


def make(name: str, fields: Mapping[str, object]) -> Op:
    """An op from its name and fields.

    Raises:
        OpError: unknown op or field, missing field, wrong type or size.
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
    known = cls.__struct_fields__
    allowed = f"allowed: {', '.join(known)}" if known else "it has no fields"
    return f"{cls.op} has no field {field!r}{nearest(field, known)} ({allowed})"


_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "array": "a list", "str": "a text"}


def _readable(message: str, cls: type[Op], fields: Mapping[str, object]) -> str:
    """msgspec's 'Expected `int` >= 1, got `str` - at `$.kernel_size`' in plain words, field and value first."""
    problem, _, path = message.partition(" - at `$.")
    field = re.split(r"[`.\[]", path)[0]
    shown = f"{cls.op}: {field} is {as_written(fields.get(field))}"
    if problem.startswith("Invalid enum value"):
        known = _texts(next(known.type for known in msgspec.structs.fields(cls) if known.name == field))
        return f"{shown}, expected {', '.join(known)}{nearest(str(fields[field]), known)}"
    kinds, _, bounds = problem.partition(", got ")[0].removeprefix("Expected `").partition("`")
    return f"{shown}, expected {' or '.join(_KINDS.get(kind, kind) for kind in kinds.split(' | '))}{bounds}"


def _texts(kind: object) -> list[str]:
    """The texts that a field's type allows."""
    inner = get_args(kind)
    return [text for part in inner for text in ([part] if isinstance(part, str) else _texts(part))]
