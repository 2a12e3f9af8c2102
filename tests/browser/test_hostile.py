"""Names and texts from specs do no harm to a page, however they are spelled."""

from __future__ import annotations

import pytest

from convcost import Graph, Node, Tensor, analyze
from convcost.graph import About, Claim
from convcost.ops import make
from convcost.pages import Subject, page_text

EVIL = [
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "<img src=x onerror=alert(3)>",
    '"><svg onload=alert(4)>',
    "' onmouseover='alert(5)",
    "<!--",
    "%{x} &lt;b&gt; ${alert(6)} `",
    "javascript:alert(7)",
    "\u2028 \u202e \x00",
]
LONG = "n" * 10_000


def network(names, title):
    """A chain of small convolutions under these names; specs cannot write them all, graphs made in Python can."""
    conv = make("conv2d", {"out_channels": 3, "kernel_size": 1, "in_channels": 3})
    nodes = [Node(name, conv, ((place - 1, 0),)) for place, name in enumerate(names)]
    claims = (Claim("params", "1", title, note=title), Claim("params", title, title))
    about = About(
        name=title, title=title, source=title, published=claims,
        reference={"title": title, "authors": [title], "year": title, "arxiv": title},
        accuracy={"top1_error": 1.5, "dataset": title, "source": title},
    )  # fmt: skip
    return analyze(Graph(nodes, [(title, Tensor((1, 3, 4, 4)))], about=about))


@pytest.fixture
def page(tmp_path):
    def page(*reports):
        path = tmp_path / "page.html"
        path.write_text(
            page_text([Subject(EVIL[0], each) for each in reports], ["--dtype", EVIL[1]], None, output=EVIL[0]), "utf-8"
        )
        return path

    return page


def test_names_do_no_harm(visit, page):
    report = network([*EVIL, *(f"block.{name}" for name in EVIL), f"{LONG}.{LONG}"], EVIL[1])
    opened = visit(page(report))
    tab = opened.tab
    assert opened.errors == []
    # HTML has no NUL; everything else is shown as it is written.
    names = [layer.name.replace("\x00", "") for layer in report.layers]
    shown = tab.eval_on_selector_all("#layers tbody th", "all => all.map(one => one.textContent)")
    assert [name.replace("\x00", "").replace("\ufffd", "") for name in shown] == names
    assert tab.title().startswith(EVIL[1])
    assert tab.text_content("h1") == EVIL[1]
    for row in range(len(names)):
        tab.locator("#layers tbody th button").nth(row).evaluate("button => button.click()")
        assert tab.text_content("#told h3").replace("\x00", "").replace("\ufffd", "") == names[row]
    tab.click("[data-do=open]")
    assert tab.locator("#drawing [data-box]").count() > len(names)
    tab.hover("[data-chart=layers] .nsewdrag")
    tab.eval_on_selector_all(".cell", "all => all.forEach((one) => one.focus())")
    tab.locator(".cell.frame", has_text="block").first.evaluate("one => one.click()")
    assert tab.locator("img, iframe, object, embed, main script, #data script").count() == 0
    assert tab.locator("[onerror], [onload], [onmouseover]").count() == 0
    assert tab.evaluate("() => document.documentElement.scrollWidth") == 1400
    assert opened.errors == []
    assert len(opened.requests) == 1


def test_charts_show_names_as_they_are(visit, page):
    opened = visit(page(network(["<b>bold</b>", "a.%{y}", "a.&amp;"], "t")))
    ticks = opened.tab.eval_on_selector_all("[data-chart=layers] .xtick text", "all => all.map(one => one.textContent)")
    assert ticks == ["<b>bold</b>", "a.%{y}", "a.&amp;"]
    labels = opened.tab.eval_on_selector_all(".cell b", "all => all.map(one => one.textContent)")
    assert sorted(labels) == sorted(["<b>bold</b>", "%{y}", "&amp;"])


def test_a_comparison_does_no_harm(visit, page):
    opened = visit(page(network(["a"], EVIL[1]), network(["b"], EVIL[2]), network(["c"], LONG)))
    assert opened.errors == []
    assert len(opened.requests) == 1
    opened.tab.locator(".networks thead button").first.click()
    opened.tab.locator("summary").first.click()
    names = opened.tab.eval_on_selector_all(".networks tbody th", "all => all.map(one => one.textContent)")
    assert sorted(names) == sorted([EVIL[1], EVIL[2], LONG])
    assert opened.tab.locator("img, iframe, main script").count() == 0


def test_the_policy_stops_what_would_run(visit, page):
    """If a text ever came through, the page's own policy would not let it run or load anything."""
    opened = visit(page(network(["a"], "t")))
    opened.tab.evaluate("""() => {
      document.body.insertAdjacentHTML('beforeend', '<img src=x onerror="window.harmed = 1">');
      const script = document.createElement('script');
      script.textContent = 'window.harmed = 2';
      document.body.append(script);
    }""")
    opened.tab.wait_for_timeout(100)
    assert opened.tab.evaluate("() => window.harmed") is None
    assert any("Content Security Policy" in error for error in opened.errors)


def test_numbers_beyond_floating_point_stay_exact(visit, page):
    """2^53 is where a script's numbers begin to round: the page keeps integers as texts."""
    conv = make("conv2d", {"out_channels": 7, "kernel_size": 3, "in_channels": 3, "padding": 1})
    report = analyze(Graph([Node("conv", conv, ((-1, 0),))], [("x", Tensor((1, 3, 999, 997)))]), batch=10**9)
    macs = 10**9 * 999 * 997 * 7 * 3 * 3 * 3
    assert report.totals.macs == macs > 2**53
    opened = visit(page(report))
    value = opened.tab.locator("#layers tbody tr").first.locator("data").nth(1).get_attribute("value")
    assert int(value) == macs
    opened.tab.fill("#filter", "conv")
    assert int(opened.tab.locator("#layers tfoot data").nth(1).get_attribute("value")) == macs
    opened.tab.locator("[data-chart=tree]").get_by_role("button", name="MACs", exact=True).click()
    assert f"{macs:,} MACs" in opened.tab.text_content(".crumbs")
