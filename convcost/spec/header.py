"""The keys of a spec that describe it: title, reference, variants, published figures."""

from __future__ import annotations

from ..errors import nearest
from ..graph import CLAIM_CONVENTIONS, CLAIM_QUANTITIES
from ..units import is_figure
from ..yaml_reader import Mapping, Row
from .expressions import literal
from .problems import MAX_NAME, Problems

TOP_KEYS = (
    "name", "title", "family", "reference", "input", "inputs", "outputs", "parameters", "let", "variants", "blocks",
    "layers", "published", "accuracy", "recorded",
)  # fmt: skip
VARIANT_KEYS = (
    "with",
    *(key for key in TOP_KEYS if key not in ("name", "blocks", "layers", "parameters", "variants", "recorded")),
)


class Head(Problems):
    """Checks what stands beside parameters, blocks and layers."""

    def __init__(self, file: str) -> None:
        super().__init__(file)
        self.input_names: tuple[str, ...] = ("input",)

    def head(self, root: Mapping) -> dict[str, Mapping]:
        """Check the keys of the file; its variants."""
        self.keys(root, TOP_KEYS, "a spec")
        for key in ("name", "layers"):
            if key not in root:
                self.fail(root.mark, f"a spec needs {key!r}")
        name = self.text(root, "name")
        if name is not None:
            self.is_name(name, root.marks["name"])
        if ("input" in root) == ("inputs" in root):
            self.fail(root.mark, "a spec needs either 'input' or 'inputs'")
        self.inputs(root)
        self.about(root)
        if root.get("recorded", "true") not in ("true", "false"):
            self.fail(root.marks["recorded"], "recorded is true or false")
        return self.variants(root)

    def about(self, holder: Mapping) -> None:
        """The keys that describe a network and enter no calculation."""
        for key in ("title", "family"):
            self.text(holder, key)
        for key in ("reference", "accuracy"):
            self.mapping(holder, key)
        self.published(holder)

    def inputs(self, holder: Mapping) -> None:
        if "inputs" in holder:
            inputs = self.mapping(holder, "inputs")
            self.input_names = (*self.input_names, *inputs)
            for name, mark in inputs.key_marks.items():
                self.is_name(name, mark)

    def variants(self, root: Mapping) -> dict[str, Mapping]:
        found: dict[str, Mapping] = {}
        holder = self.mapping(root, "variants")
        for name, value in holder.items():
            self.is_name(name, holder.key_marks[name])
            if not isinstance(value, Mapping):
                self.fail(holder.marks[name], f"variant {name!r} must be a mapping, such as {{with: [2, 3]}}")
                continue
            self.keys(value, VARIANT_KEYS, f"variant {name!r}")
            self.inputs(value)
            self.about(value)
            found[name] = value
        return found

    def published(self, holder: Mapping) -> None:
        if "published" not in holder:
            return
        row = self.row(holder["published"], holder.marks["published"], "published")
        for item, mark in zip(row, row.marks, strict=True):
            if not isinstance(item, Mapping):
                self.fail(mark, "a claim is a mapping: {quantity: params, value: 138M, source: table 2}")
                continue
            self.keys(item, ("quantity", "value", "layer", "convention", "source", "note"), "a claim")
            for key in ("quantity", "value", "source"):
                if key not in item:
                    self.fail(mark, f"a claim needs {key!r}")
            for key in ("source", "layer", "note"):
                self.text(item, key)
            value = item.get("value", "")
            figures = value if isinstance(value, Row) else [value]
            if any(not isinstance(figure, str) or len(figure) > MAX_NAME for figure in figures):
                self.fail(item.marks["value"], "the value of a claim is a figure, such as 138M, or a list of sizes")
            elif isinstance(value, str) and "value" in item and not is_figure(value):
                self.fail(item.marks["value"], f"{value!r} is not a figure such as 138M, 3.8G, 60,000 or 93MB")
            elif isinstance(value, Row) and not all(isinstance(literal(str(size)), int) for size in value):
                self.fail(item.marks["value"], "the sizes of a claim are whole numbers, such as [512, 7, 7]")
            for key, allowed in (("quantity", CLAIM_QUANTITIES), ("convention", CLAIM_CONVENTIONS)):
                word = item.get(key)
                if self.text(item, key) is not None and word not in allowed:
                    near = nearest(str(word), allowed)
                    self.fail(item.marks[key], f"{key} {word!r} is not one of {', '.join(allowed)}{near}")
