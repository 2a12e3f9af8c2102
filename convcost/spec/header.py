"""The keys of a spec that describe it: title, reference, variants, published figures. Their checks are changed here.

Which keys there are stands in ``keywords``.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import alternatives, as_written
from ..graph import CLAIM_CONVENTIONS, CLAIM_QUANTITIES
from ..units import is_figure
from ..yaml_reader import Mapping, Row
from .expressions import literal
from .keywords import names, required
from .problems import MAX_NAME, SpecProblems


def claim_problems(quantity: object, value: object, convention: object) -> Iterator[tuple[str, str]]:
    """(key, message) of what is wrong in a claim of the right form; ``convention`` None is none."""
    for key, word, allowed in (
        ("quantity", quantity, CLAIM_QUANTITIES), ("convention", convention, CLAIM_CONVENTIONS)
    ):  # fmt: skip
        if word is not None and word not in allowed:
            yield key, f"unknown {key} {as_written(word)}{alternatives(str(word), allowed)}"
    if isinstance(value, str) and not is_figure(value):
        yield "value", f"{as_written(value)} is not a figure such as 138M, 3.8G, 60,000 or 93MB"


class HeaderChecks(SpecProblems):
    """Checks what stands beside parameters, blocks and layers."""

    def __init__(self, file: str) -> None:
        super().__init__(file)
        self.input_names: tuple[str, ...] = ("input",)

    def header(self, root: Mapping) -> dict[str, Mapping]:
        """Check the keys of the file; its variants."""
        self.keys(root, names("file", "shared"), "a spec")
        for key in required("file"):
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
            self.fail(root.marks["recorded"], "recorded must be true or false")
        return self.variants(root)

    def about(self, holder: Mapping) -> None:
        """The keys that describe a network and enter no calculation."""
        for key in ("title", "family"):
            self.text(holder, key)
        for key in ("reference", "accuracy"):
            self.mapping(holder, key)
        if "published" in holder:
            row = self.row(holder["published"], holder.marks["published"], "published")
            for item, mark in zip(row, row.marks, strict=True):
                if isinstance(item, Mapping):
                    self.claim(item)
                else:
                    self.fail(
                        mark, "a published figure must be a mapping: {quantity: params, value: 138M, source: table 2}"
                    )

    def inputs(self, holder: Mapping) -> None:
        if "inputs" in holder:
            inputs = self.mapping(holder, "inputs")
            self.input_names = (*self.input_names, *inputs)
            for name, mark in inputs.key_marks.items():
                self.is_name(name, mark)

    def variants(self, root: Mapping) -> dict[str, Mapping]:
        variants: dict[str, Mapping] = {}
        holder = self.mapping(root, "variants")
        for name, value in holder.items():
            self.is_name(name, holder.key_marks[name])
            if not isinstance(value, Mapping):
                self.fail(holder.marks[name], f"variant {name!r} must be a mapping, such as {{with: [2, 3]}}")
                continue
            self.keys(value, names("variant", "shared"), f"variant {name!r}")
            self.inputs(value)
            self.about(value)
            variants[name] = value
        return variants

    def claim(self, claim: Mapping) -> None:
        self.keys(claim, names("claim"), "a published figure")
        for key in required("claim"):
            if key not in claim:
                self.fail(claim.mark, f"a published figure needs {key!r}")
        texts = {key: self.text(claim, key) for key in names("claim") if key != "value"}
        value = claim.get("value")
        figures = value if isinstance(value, Row) else [value or ""]
        if any(not isinstance(figure, str) or len(figure) > MAX_NAME for figure in figures):
            self.fail(
                claim.marks["value"],
                "the value of a published figure must be a number, such as 138M, or a list of sizes",
            )
            value = None
        elif isinstance(value, Row) and not all(isinstance(literal(str(size)), int) for size in value):
            self.fail(
                claim.marks["value"], "the sizes of a published figure must be whole numbers, such as [512, 7, 7]"
            )
        for key, message in claim_problems(texts["quantity"], value, texts["convention"]):
            self.fail(claim.marks[key], message)
