"""The gallery: what every architecture that ships costs, written from the code.

    python reports/generate.py           writes what has changed
    python reports/generate.py --check   names what is stale; exit status 1 if anything is

It writes networks/*.md for every architecture; for the canon pages (*.html) and pictures (images/*.svg) too, which
share style and scripts in assets/; index.html; and the table in README.md between its markers. Reports of
measurements and of other tools are made by their own commands, see README.md.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from convcost import Report, analyze  # noqa: E402
from convcost.pages import Subject, page_text, picture_text  # noqa: E402
from convcost.render import render  # noqa: E402
from convcost.render.documents.markdown_report import network_report  # noqa: E402
from convcost.render.page import plotly_js, shared_files  # noqa: E402
from convcost.render.page.index import html_index, master_table  # noqa: E402
from convcost.render.sheet import Paragraph  # noqa: E402
from convcost.sources.load import load_shipped  # noqa: E402

CANON = ("lenet5", "alexnet", "vgg16", "googlenet", "resnet50", "densenet121", "mobilenet_v2", "unet")
WITH_ERROR = (
    "alexnet", "vgg16", "googlenet_bn", "resnet18", "resnet50", "resnet152", "densenet121", "mobilenet_v2",
    "efficientnet_b0", "convnext_tiny",
)  # fmt: skip
DEEPER = ("alexnet_2012", "zfnet", "vgg19", "googlenet", "resnet152")
COMPARED = ("alexnet", "vgg16", "googlenet", "resnet50", "densenet121", "mobilenet_v2")
PICTURES = {
    "split": ("-split", "Shares of convolutions, fully connected layers and the rest"),
    "layers": ("", "Parameters, MACs and activation bytes of every layer"),
}
"""Pictures of one network: suffix of the file name, and caption."""
ASSETS = "assets"
PLOTLY = HERE / ASSETS / "plotly.min.js"
"""Not ours, and another one with each version of plotly: written where it is missing."""
REGION = re.compile(r"(<!-- generated: networks -->\n).*?(<!-- end -->\n)", re.DOTALL)


def main(arguments: list[str]) -> int:
    """Write or check the gallery. Returns the exit status."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python reports/generate.py [--check]\n")
        return 2
    wanted = dict(gallery())
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text]
    # Nothing stays behind of what is no longer made.
    made = [*HERE.glob("networks/*"), *HERE.glob("images/*"), *HERE.glob("*.html")]
    left = [path for path in made if path not in wanted]
    for path in stale + left:
        name = path.relative_to(HERE.parent)
        if arguments:
            sys.stderr.write(f"stale: {name} (python reports/generate.py writes it)\n")
        elif path in left:
            path.unlink()
            sys.stdout.write(f"removed {name}\n")
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(wanted[path], "utf-8")
            sys.stdout.write(f"wrote {name}\n")
    if not arguments and not PLOTLY.exists():
        PLOTLY.write_text(plotly_js(), "utf-8")
        sys.stdout.write(f"wrote {PLOTLY.relative_to(HERE.parent)}\n")
    return 1 if arguments and stale + left else 0


def gallery() -> Iterator[tuple[Path, str]]:
    """Every file of the gallery with its text; plotly.js, which is not ours, left out."""
    reports = {graph.about.name: analyze(graph) for graph in load_shipped().values()}

    def of(names: Sequence[str]) -> list[Subject]:
        return [Subject(name, reports[name]) for name in names]

    for name, report in reports.items():
        yield HERE / "networks" / f"{name}.md", markdown(report)
    for name in CANON:
        for chart, (suffix, _) in PICTURES.items():
            text = picture_text([reports[name]], chart)
            yield HERE / "images" / f"{name}{suffix}.svg", text
        yield HERE / f"{name}.html", page_text(of([name]), [], assets=ASSETS, output=f"{name}.html")
    yield HERE / "comparison.html", page_text(of(COMPARED), [], assets=ASSETS, output="comparison.html")
    for chart, names in (("bubble", WITH_ERROR), ("depth", DEEPER)):
        yield HERE / "images" / f"comparison-{chart}.svg", picture_text([reports[name] for name in names], chart)
    pages = [f"{name}.html" if name in CANON else f"networks/{name}.md" for name in reports]
    yield HERE / "index.html", html_index(list(reports.values()), pages, ASSETS)
    for name, text in shared_files("").items():
        if name != PLOTLY.name:
            yield HERE / ASSETS / name, text
    yield HERE / "README.md", readme(list(reports.values()))


def markdown(report: Report) -> str:
    """The report of one network as Markdown, with its pictures if it is of the canon."""
    name = report.about.name
    shown = PICTURES.values() if name in CANON else ()
    pictures = [Paragraph(said, "picture", f"../images/{name}{suffix}.svg") for suffix, said in shown]
    command = ["convcost", "report", name, "--format", "markdown", "-o", f"{name}.md"]
    out = io.StringIO()
    render(network_report(report, command, pictures=pictures), "markdown", out)
    return out.getvalue()


def readme(reports: list[Report]) -> str:
    """README.md with a fresh table."""
    text = (HERE / "README.md").read_text("utf-8")
    table = master_table(reports, [f"networks/{report.about.name}.md" for report in reports])
    return REGION.sub(lambda found: f"{found.group(1)}\n{table}\n\n{found.group(2)}", text)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
