"""Every format: printed rows add up to printed totals, and all formats print the same numbers."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import pytest

import convcost
from convcost import Graph, Node, Tensor, analyze
from convcost.errors import UsageError
from convcost.graph import About
from convcost.ops import make
from convcost.render import render
from convcost.render.documents.analysis import analysis_document, column_keys, sortable
from convcost.render.documents.fold import AUTOMATIC_LINES
from support.networks import chain
from support.shown import ANSI, csv_rows, html_tables, markdown_rows, shown, table_rows, whole

NAMES = ["vgg16", "resnet18", "lenet5", "unet", "googlenet", "mobilenet_v2", "dcgan_generator"]
READERS = {"table": table_rows, "markdown": markdown_rows, "csv": csv_rows}
RECORDED = Path(__file__).parents[2] / "profiles" / "lenet5-cpu-schema1.json"
EVIL = "<script>alert(1)</script>|x"


@cache
def report(name):
    return analyze(convcost.load(name), batch=2)


def odd(name=EVIL, title="A <b>title</b> | *bold* `code` [link](x) & more"):
    """A network whose names are not words; specs cannot write them, graphs built in Python can."""
    nodes = [Node(name, make("relu", {}), ((-1, 0),)), Node("[bold]b[/bold]", make("relu", {}), ((0, 0),))]
    return analyze(Graph(nodes, [("x", Tensor((1, 3, 4, 4)))], about=About(name="odd", title=title)))


# --- adding up


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("format", ["table", "markdown"])
def test_rows_add_up_to_the_printed_total(name, format):
    found = report(name)
    text = shown(found, format, "raw", depth=1, columns=sortable())
    *rows, total = READERS[format](text)
    assert total[0] == "total"
    for column, quantity in enumerate(sortable(), start=1):
        assert sum(whole(row[column]) for row in rows) == whole(total[column])
        assert whole(total[column]) == getattr(found.totals, quantity)


@pytest.mark.parametrize("name", NAMES)
def test_csv_adds_up(name):
    found = report(name)
    rows = csv_rows(shown(found, "csv", depth=1, columns=sortable()))
    for column, quantity in enumerate(sortable(), start=1):
        assert sum(int(row[column]) for row in rows) == getattr(found.totals, quantity)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("format", ["table", "markdown"])
def test_blocks_add_up(name, format):
    """A block's line is the sum of the lines inside it, at every level: leaves make the total as well."""
    found = report(name)
    *rows, total = READERS[format](shown(found, format, "raw", depth=99, columns=("macs", "params")))
    names = [layer.path[-1] for layer in found.layers]
    depths = {layer.path[:level] for layer in found.layers for level in range(1, len(layer.path) + 1)}
    assert len(rows) == len(depths)
    leaves = [row for row in rows if row[0] in set(names)]
    assert sum(whole(row[1]) for row in leaves) >= whole(total[1])
    assert whole(total[1]) == found.totals.macs


@pytest.mark.parametrize("name", NAMES)
def test_groups_add_up(name):
    """The second table: by group, with shares that come to 100 percent."""
    found = report(name)
    text = shown(found, "markdown", "raw", depth=1)
    *rows, total = markdown_rows(text[text.index("### By group") :])
    assert [row[0] for row in rows] == [group for group, sums in found.breakdown.items() if sums.layers]
    for column in (1, 2, 4, 6, 8):
        assert sum(whole(row[column]) for row in rows) == whole(total[column])
    for column in (3, 5, 7, 9):
        least, most = map(sum, zip(*(between(row[column]) for row in rows), strict=True))
        assert least <= 100 <= most
    assert whole(total[1]) == len(found.layers)


def between(share):
    """What a printed share may have been before it was rounded, in percent."""
    number = float(share.strip("<>%"))
    return {"<": (0, number), ">": (number, 100)}.get(share[0], (number - 0.051, number + 0.051))


# --- agreeing


@pytest.mark.parametrize("name", NAMES)
def test_formats_agree(name):
    """The same rows in the same order, leaf by leaf, in text, Markdown, CSV and JSON."""
    found = report(name)
    columns = ("output", *sortable())
    table, markdown, values = (
        read(shown(found, name, "raw", depth=99, columns=columns)) for name, read in READERS.items()
    )
    assert table[:-1] == markdown[:-1]
    assert table[-1] == [cell for cell in markdown[-1] if cell], "the total, which has no output"
    assert [row[:2] + [f"{int(cell):,}" for cell in row[2:-1]] + row[-1:] for row in values] == table[:-1]
    plain = found.to_dict()
    # One line for each distinct prefix of a name: those that end a path are layers, in order.
    lines = dict(zip(paths(found), values, strict=True))
    for layer in plain["layers"]:
        row = lines[layer["path"]]
        assert row[0] == layer["path"][-1]
        assert row[1] == "x".join(map(str, layer["output_shapes"][0][1:]))
        assert [int(cell) for cell in row[2:]] == [layer[quantity] for quantity in sortable()]


def paths(found):
    seen = {}
    for layer in found.layers:
        for level in range(1, len(layer.path) + 1):
            seen.setdefault(layer.path[:level])
    return list(seen)


@pytest.mark.parametrize("name", NAMES)
def test_notebook_agrees(name):
    found = report(name)
    text = shown(found, "markdown")
    groups, layers = html_tables(found._repr_html_())
    assert layers[1:] == markdown_rows(text)
    assert groups[1:] == markdown_rows(text[text.index("### By group") :])


# --- units


@pytest.mark.parametrize(("style", "size"), [("iec", "57.55 MiB"), ("si", "60.35 MB"), ("raw", "60,348,320")])
@pytest.mark.parametrize("format", ["table", "markdown"])
def test_units(style, size, format):
    total = shown(analyze(convcost.load("vgg16")), format, style, columns=("params", "activation_bytes"), depth=1)
    line = next(line for line in total.splitlines() if "total" in line)
    assert size in line
    assert ("138.36M" if style != "raw" else "138,357,544") in line


@pytest.mark.parametrize(
    ("style", "said"),
    [
        ("iec", ["138.36M parameters", "57.55 MiB of activations", "Weights 527.79 MiB"]),
        ("si", ["138.36M parameters", "60.35 MB of activations", "Weights 553.43 MB"]),
        ("raw", ["138,357,544 parameters", "60,348,320 bytes of activations", "Weights 553,430,176 bytes"]),
    ],
)
def test_sentences_keep_to_the_units(style, said):
    text = shown(analyze(convcost.load("vgg16")), "table", style)
    assert [sentence for sentence in said if sentence not in text] == []


def test_csv_is_always_raw():
    found = report("lenet5")
    assert shown(found, "csv", "iec") == shown(found, "csv", "raw") == shown(found, "csv", "si")


# --- names from anywhere


def test_markdown_escapes_names():
    text = shown(odd(), "markdown")
    rows = markdown_rows(text)
    assert [len(row) for row in rows] == [7] * 3, "a bar in a name opens no cell"
    assert rows[0][0] == EVIL
    assert "<script>" not in text
    assert r"\<script\>" in text
    assert r"A \<b\>title\</b\> \| \*bold\* \`code\` \[link\](x)" in text


def test_markdown_keeps_a_name_in_its_line():
    rows = markdown_rows(shown(odd("a\nb"), "markdown"))
    assert rows[0][0] == "a b"


def test_csv_quotes_names():
    rows = csv_rows(shown(odd('a,"b"\nc'), "csv"))
    assert rows[0][0] == 'a,"b"\nc'
    assert len(rows) == 2


def test_table_shows_names_as_they_are():
    text = shown(odd(), "table")
    assert EVIL in text
    assert "[bold]b[/bold]" in text, "brackets are no styles"
    assert "A <b>title</b> | *bold* `code` [link](x) & more" in text


@pytest.mark.parametrize("name", ["lenet5"])
def test_every_record_shows_itself_in_a_notebook(name):
    """Its table holds what the record's own JSON holds, here the figure that stands for each."""
    graph = convcost.load(name)
    memory = convcost.memory(graph)
    shown = [
        (convcost.compare([graph, convcost.load("alexnet")]), f'value="{convcost.analyze(graph).totals.macs}"'),
        (convcost.diff(graph, convcost.load("alexnet")), "Change"),
        (memory, f'value="{memory.peak_bytes}"'),
        (convcost.fit(graph, "t4"), "margin"),
        (convcost.roofline(graph, "t4"), "This is a bound, not a prediction"),
        (convcost.load_profile(RECORDED), "Time by group at batch 8, float32"),
    ]
    for record, words in shown:
        html = record._repr_html_()
        assert words in html, record
        assert html.count("<table") == html.count("</table>") >= 1


def test_notebook_escapes_names():
    html = odd()._repr_html_()
    assert "<script>" not in html
    assert "<b>title" not in html
    _, layers = html_tables(html)
    assert layers[1][0] == EVIL


def test_warnings_stand_in_every_text():
    found = analyze(chain((3, 8, 8), "{max_pool2d: 3, name: odd}"))
    (warning,) = found.warnings
    assert f"warning: {warning}" in shown(found, "table")
    assert f"> warning: {warning}" in shown(found, "markdown").replace("\\", "")


# --- folding, sorting, choosing


def test_depth_folds():
    found = report("resnet18")
    one = markdown_rows(shown(found, "markdown", "raw", depth=1, columns=("params",)))
    assert [row[0] for row in one[:5]] == ["conv1", "relu_1", "pool1", "conv2_1", "conv2_2"]
    assert len(one) == len({layer.path[0] for layer in found.layers}) + 1
    deep = markdown_rows(shown(found, "markdown", "raw", depth=3, columns=("params",)))
    assert len(deep) == len(paths(found)) + 1
    assert deep[-1] == one[-1]


@pytest.mark.parametrize("name", [*NAMES, "resnet152", "resnet1202_cifar", "densenet201"])
def test_automatic_depth(name):
    """Deep networks fold to a page; a network of more than a page at its highest level is shown at that."""
    found = analyze(convcost.load(name))
    rows = markdown_rows(shown(found, "markdown"))
    highest = len({layer.path[0] for layer in found.layers})
    assert len(rows) - 1 <= max(AUTOMATIC_LINES, highest)
    assert len(rows) - 1 >= highest


@pytest.mark.parametrize("quantity", sortable())
def test_sort_and_top(quantity):
    found = report("vgg16")
    *rows, total = markdown_rows(shown(found, "markdown", "raw", sort=quantity, top=5, columns=(quantity,)))
    values = [whole(row[1]) for row in rows]
    assert values == sorted((getattr(layer, quantity) for layer in found.layers), reverse=True)[:5]
    assert whole(total[1]) == getattr(found.totals, quantity), "the total is that of the network"


def test_top_alone_sorts_by_macs():
    rows = markdown_rows(shown(report("vgg16"), "markdown", "raw", top=1, columns=("macs",)))
    assert rows[0][0] == "conv1_2.conv2d_1"


def test_every_column():
    """Each key can be asked for, alone and together, and CSV names them by their keys."""
    found = report("lenet5")
    for key in column_keys():
        assert markdown_rows(shown(found, "markdown", columns=(key,)))[0][0] == "C1"
    text = shown(found, "csv", depth=99, columns=column_keys())
    kept = [key for key in column_keys() if not key.endswith("%")]
    assert text.splitlines()[0].split(",") == ["name", *kept]
    first = dict(zip(["name", *kept], csv_rows(text)[0], strict=True))
    assert first["op"] == "conv2d"
    assert first["fields"] == "out_channels=6, kernel_size=5, in_channels=1"
    assert (first["input"], first["output"]) == ("1x32x32", "6x28x28")
    assert (first["receptive_field"], first["stride"]) == ("5x5", "1x1")
    assert (first["inputs"], first["group"]) == ("input", "conv")


def test_claims_are_shown():
    text = shown(analyze(convcost.load("vgg16")), "markdown")
    claims = markdown_rows(text[text.index("### Published figures") :])
    assert ["params", "138M", "138,357,544", "agrees", "table 2"] in claims
    wrong = next(row for row in claims if row[1] == "93MB")
    assert wrong[2:4] == ["60,950,432", "differs"]


def test_conventions_are_printed():
    """A reader must see what the numbers mean: FLOPs by kind, what activations are, what is covered."""
    text = shown(analyze(convcost.load("resnet50")), "table", convention="fvcore")
    for said in (
        "FLOPs = 2 x MACs + other operations",
        "bytes of the allocated outputs",
        "all 175 operations",
        "float32, eval",
    ):
        assert said in text
    assert "In the convention fvcore: " in text


def test_headline_names_where_parameters_and_work_are():
    text = shown(analyze(convcost.load("vgg16")), "table").splitlines()[0]
    assert text.startswith("VGG-16 (D): 138.36M parameters (89.4% in fully connected layers, 10.6% in convolutions)")
    assert "15.47G MACs (99.2% in convolutions" in text


# --- refusing


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ("mac",)}, "unknown column 'mac'; did you mean 'macs'"),
        ({"sort": "mac"}, "cannot sort by 'mac'; did you mean 'macs'"),
        ({"sort": "output"}, "cannot sort by 'output'"),
        ({"top": 0}, "--top must be 1 or more, not 0"),
        ({"depth": 0}, "--depth must be 1 or more, not 0"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(UsageError) as error:
        analysis_document(report("lenet5"), **options)
    assert message in str(error.value)


@pytest.mark.parametrize("format", ["html5", "tables", "json", "../cli", ""])
def test_unknown_format(format):
    with pytest.raises(UsageError, match="unknown format"):
        render(analysis_document(report("lenet5")), format, io.StringIO())


def test_a_network_that_costs_nothing():
    """Shares of nothing are left empty."""
    found = analyze(chain((3, 4, 4), "flatten"))
    for name, read in READERS.items():
        assert read(shown(found, name))[0][0] == "flatten_1"
    assert "%" not in shown(found, "table").splitlines()[0]
    assert found._repr_html_()


@pytest.mark.parametrize("terminal", [False, True])
def test_a_terminal_obeys_no_name(terminal):
    """A title may come from anybody's file: escape codes would move the cursor or paint over what was said."""
    evil = "\x1b[2J\x9b31mtitle\r\x07"
    node = Node("a\x1b[1mb", make("relu", {}), ((-1, 0),))
    found = analyze(Graph([node], [("input", Tensor((1, 4)))], about=About("x", evil)))
    text = ANSI.sub("", shown(found, "table", terminal=terminal))
    assert "[2J31mtitle: 0 parameters" in text
    assert not set(text) & {"\x1b", "\x9b", "\r", "\x07"}
