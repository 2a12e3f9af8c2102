"""The page about one network in a real browser."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from convcost import Ceilings, analyze, load, load_profile, roofline
from convcost.analysis.explain import explain
from convcost.pages import Subject, network_records, page_text
from convcost.render.charts import charts_of
from convcost.render.documents.explanation import step_cells

RECORDED = Path(__file__).parent.parent / "profiles" / "lenet5-cpu-schema1.json"
QUANTITIES = ("params", "macs", "flops", "activation_bytes", "bytes_read", "bytes_written")


@pytest.fixture(scope="module")
def vgg():
    return analyze(load("vgg16"))


@pytest.fixture
def opened(visit, page_of):
    """The page about VGG-16, before its charts are drawn: what is no chart works at once."""
    return visit(page_of("vgg16"), charts=False)


def layers_shown(opened):
    return opened.tab.eval_on_selector_all(
        "#layers tbody tr", "rows => rows.filter(row => !row.hidden).map(row => Number(row.dataset.layer))"
    )


def values(opened, selector):
    return [int(v) for v in opened.tab.eval_on_selector_all(f"{selector} data", "all => all.map(one => one.value)")]


def test_it_works_offline_and_without_a_word(visit, page_of):
    opened = visit(page_of("vgg16"))
    assert opened.errors == []
    assert opened.requests == [page_of("vgg16").as_uri()]


@pytest.mark.parametrize("name", ["vgg16", "densenet121", "lenet5", "vit_b_16"])
def test_all_charts_are_drawn(visit, page_of, name):
    opened = visit(page_of(name))
    charts = charts_of(network_records(analyze(load(name))))
    expected = {c.key: len(c.figure["data"]) for c in charts if c.figure}
    drawn = opened.tab.eval_on_selector_all(
        "[data-chart]", "all => all.map(one => [one.dataset.chart, one.querySelector('.plot').data.length])"
    )
    assert dict(drawn) == expected
    assert {"layers", "split", "tree", "memory"} <= set(expected)
    lengths = opened.tab.eval_on_selector_all(
        "[data-chart]",
        "all => all.map(one => one.querySelector('.plot').data.map(trace => (trace.y || trace.values).length))",
    )
    figures = {c.key: c.figure["data"] for c in charts if c.figure}
    assert lengths == [[len(t.get("y", t.get("values"))) for t in figures[key]] for key, _ in drawn]
    bars = opened.tab.locator("[data-chart=layers] .barlayer .point path").count()
    assert bars == sum(len(trace["x"]) for trace in charts[0].figure["data"])
    assert opened.tab.locator("[data-chart=tree] .cell").count() > 2
    assert opened.errors == []


def test_a_chart_without_records_says_why(opened, vgg):
    told = opened.tab.eval_on_selector_all("[data-missing]", "all => all.map(one => one.textContent)")
    missing = [chart for chart in charts_of(network_records(vgg)) if chart.figure is None]
    assert told == [f"{chart.title}: not shown, because {chart.missing}." for chart in missing]
    assert "Roofline: not shown, because no GPU was given." in told


@pytest.mark.parametrize("width", [1400, 390])
def test_a_roofline_is_drawn_and_fits(visit, tmp_path, width, keep):
    """The device's name comes from a file, which may hold anything."""
    report = analyze(load("vgg16"))
    given = Ceilings("<b>my</b> & card", 494.5e12, 67e12, 67e12, 4.8e12, sources={"bytes_per_s": "<i>mine</i>"})
    found = roofline(report, given)
    path = tmp_path / "page.html"
    path.write_text(page_text([Subject("vgg16", report, found)], []), "utf-8")
    opened = visit(path, width=width)
    assert opened.errors == []
    assert opened.tab.text_content("#h-roofline") == "Roofline on <b>my</b> & card"
    assert "bytes per second): <i>mine</i>." in opened.tab.text_content("#roofline")
    drawn = opened.tab.locator("[data-chart=roofline] .scatterlayer .point").count()
    assert drawn == sum(1 for layer in found.layers if layer.flops and layer.bytes_moved)
    assert opened.tab.evaluate("document.documentElement.scrollWidth") <= width
    keep(opened, f"roofline-{width}")


@pytest.mark.parametrize("width", [1400, 390])
def test_a_saved_profile_shows_what_was_measured(visit, tmp_path, width, keep):
    profile = load_profile(RECORDED)
    run = profile.runs[-1]
    report = analyze(load("lenet5"), batch=run.setting.batch)
    path = tmp_path / "page.html"
    path.write_text(page_text([Subject("run.json", report, profile=profile)], []), "utf-8")
    opened = visit(path, width=width)
    assert opened.errors == []
    drawn = opened.tab.locator("[data-chart=roofline] .scatterlayer .point").count()
    working = [layer for layer in run.layers if layer.flops and layer.bytes_moved]
    assert drawn == 2 * len(working)  # each layer's bound, and its measured speed
    assert opened.tab.locator("[data-chart=tree] [data-view]").last.text_content() == "time"
    said = opened.tab.text_content("#measured")
    assert "Time by group at batch 8, float32" in said
    assert f"{run.time.samples:,}" in said
    assert opened.tab.evaluate("document.documentElement.scrollWidth") <= width
    keep(opened, f"profile-{width}")


def test_every_number_is_the_one_of_the_json(opened, vgg):
    found = json.loads(vgg.to_json())
    rows = opened.tab.eval_on_selector_all(
        "#layers tbody tr", "rows => rows.map(row => [...row.querySelectorAll('data')].map(one => one.value))"
    )
    assert [[int(v) for v in row] for row in rows] == [[layer[q] for q in QUANTITIES] for layer in found["layers"]]
    assert values(opened, "#layers tfoot") == [found["totals"][q] for q in QUANTITIES]
    assert values(opened, ".cards") == [
        found["totals"][q] for q in ("params", "weight_bytes", "macs", "flops", "activation_bytes", "depth")
    ]
    groups = [group for group in found["breakdown"].values() if group["layers"]]
    keys = ("params", "macs", "flops", "activation_bytes")
    assert values(opened, "table.groups tbody") == [group[key] for group in groups for key in keys]
    assert values(opened, "table.groups tfoot") == [found["totals"][key] for key in keys]
    computed = [claim["computed"] for claim in found["published"] if isinstance(claim["computed"], int)]
    assert values(opened, ".claims") == computed


def test_the_titles_say_every_digit(opened):
    pairs = opened.tab.eval_on_selector_all("data[title]", "all => all.map(one => [one.value, one.title])")
    assert len(pairs) > 250
    assert all(f"{int(value):,}" == title.removesuffix(" bytes") for value, title in pairs)


def test_exact_shows_every_digit_and_back(opened):
    total = opened.tab.locator(".cards data").first
    assert total.text_content() == "138.36M"
    opened.tab.click("#exact")
    assert total.text_content() == "138,357,544"
    assert opened.tab.locator("#layers tbody tr").first.locator("data").first.text_content() == "1,792"
    opened.tab.click("#exact")
    assert total.text_content() == "138.36M"


def test_sorting(opened, vgg):
    before = list(range(len(vgg.layers)))
    assert layers_shown(opened) == before
    head = opened.tab.locator("#layers th[data-key=macs]")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert layers_shown(opened) == sorted(before, key=lambda layer: (-vgg.layers[layer].macs, layer))
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert layers_shown(opened) == sorted(before, key=lambda layer: (vgg.layers[layer].macs, layer))
    head.locator("button").click()
    assert head.get_attribute("aria-sort") is None
    assert layers_shown(opened) == before
    opened.tab.click("#layers th[data-key=name] button")
    assert [vgg.layers[layer].name for layer in layers_shown(opened)] == sorted(layer.name for layer in vgg.layers)


def test_filtering_sums_what_is_shown(opened, vgg):
    opened.tab.fill("#filter", "conv5 conv2d")
    kept = [layer for layer in vgg.layers if "conv5" in layer.name and "conv2d" in layer.name]
    assert len(kept) == 3
    assert [vgg.layers[k].name for k in layers_shown(opened)] == [layer.name for layer in kept]
    assert opened.tab.text_content("#found") == "3 of 39 layers"
    assert values(opened, "#layers tfoot") == [sum(getattr(layer, q) for layer in kept) for q in QUANTITIES]
    opened.tab.fill("#filter", "nothing is called so")
    assert layers_shown(opened) == []
    assert values(opened, "#layers tfoot") == [0] * len(QUANTITIES)
    opened.tab.fill("#filter", "")
    opened.tab.click("#chips [data-of=conv]")
    assert {vgg.layers[k].group for k in layers_shown(opened)} == {"fc", "activation", "pool", "other"}
    opened.tab.click("#chips [data-of=conv]")
    assert len(layers_shown(opened)) == len(vgg.layers)


@pytest.mark.parametrize("dark", [False, True])
def test_theme_follows_the_system_and_the_button(visit, page_of, dark):
    opened = visit(page_of("vgg16"), dark=dark)
    ground = "() => getComputedStyle(document.body).backgroundColor"
    text = "() => getComputedStyle(document.querySelector('[data-chart=layers] .xtick text')).fill"
    grounds = ["rgb(246, 247, 249)", "rgb(14, 19, 27)"]
    texts = ["rgb(90, 102, 120)", "rgb(154, 167, 184)"]
    assert opened.tab.evaluate(ground) == grounds[dark]
    assert opened.tab.evaluate(text) == texts[dark]
    opened.tab.click("#theme")
    assert opened.tab.evaluate(ground) == grounds[not dark]
    assert opened.tab.evaluate(text) == texts[not dark]
    assert opened.tab.get_attribute("#theme", "aria-pressed") == str(not dark).lower()


def test_switching_a_chart_shows_another_quantity(visit, page_of, vgg):
    opened = visit(page_of("vgg16"))
    figure = opened.tab.locator("[data-chart=tree]")
    figure.get_by_role("button", name="MACs", exact=True).click()
    root = "document.querySelector('[data-chart=tree] .plot').data[0].values[0]"
    opened.tab.wait_for_function(f"() => {root} === {vgg.totals.macs}")
    assert figure.get_by_role("button", name="MACs", exact=True).get_attribute("aria-pressed") == "true"
    assert opened.tab.text_content(".crumbs") == "vgg16, 15,470,264,320 MACs, 15.47G, 100.0% of MACs"
    opened.tab.locator("[data-chart=layers]").get_by_role("button", name="logarithmic").click()
    opened.tab.wait_for_function(
        "() => document.querySelector('[data-chart=layers] .plot').layout.yaxis.type === 'log'"
    )
    kinds = opened.tab.evaluate(
        "() => { const { layout } = document.querySelector('[data-chart=layers] .plot');"
        " return [layout.yaxis.type, layout.yaxis2.type, layout.yaxis3.type]; }"
    )
    assert kinds == ["log"] * 3


def test_hovering_tells_the_exact_integer_and_its_arithmetic(visit, page_of):
    opened = visit(page_of("vgg16"))
    plot = opened.tab.locator("[data-chart=layers]")
    plot.scroll_into_view_if_needed()
    # fc6 is the highest bar of the first row.
    bars = plot.locator(".barlayer .point path").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect()).map(r => [r.x + r.width / 2, r.y + r.height / 2, r.height])"
    )
    x, y, _ = max(bars[: len(bars) // 2], key=lambda bar: (bar[0] > 1000) * bar[2])
    opened.tab.mouse.move(x, y)
    label = opened.tab.locator("[data-chart=layers] .hoverlayer .hovertext")
    label.wait_for()
    assert label.text_content() == ("fc6 linear, 1x4096102,764,544 parameters= weights + biases = 102,760,448 + 4,096")


# --- diagram


def boxes(opened):
    return opened.tab.locator("#drawing [data-box]").count()


def test_the_diagram_opens_closes_and_zooms(opened):
    opened.tab.click("[data-do=close]")
    # conv1 to conv5, five pools, flatten, fc6 relu dropout fc7 relu dropout fc8.
    assert boxes(opened) == 18
    opened.tab.click("[data-do=open]")
    # Those, 13 blocks of a convolution and a relu, and these 26 layers.
    assert boxes(opened) == 18 + 13 + 26
    wide = opened.tab.locator("#drawing").bounding_box()["width"]
    opened.tab.click("[data-do=in]")
    assert opened.tab.locator("#drawing").bounding_box()["width"] == pytest.approx(1.25 * wide, rel=0.01)
    opened.tab.click("[data-do=fit]")
    box, area = (opened.tab.locator(s).bounding_box() for s in ("#drawing", "#scroll"))
    assert box["height"] <= area["height"]
    opened.tab.click("[data-do=one]")
    assert opened.tab.get_attribute("#drawing", "data-zoom") == "1.000"


def told(opened):
    return opened.tab.eval_on_selector_all(
        "#told tbody tr",
        "rows => rows.map(r => [r.cells[0].firstChild, r.querySelector('.how'), r.cells[1]].map(x => x.textContent))",
    )


def arithmetic(report, layer):
    for label, formula, substitution, value in map(step_cells, explain(report, layer)[0].steps):
        yield [label, " = ".join(filter(None, (formula, substitution))), value]


def test_choosing_a_layer_shows_its_arithmetic(opened, vgg):
    opened.tab.locator("#layers button[data-layer]", has_text="fc6").click()
    assert opened.tab.text_content("#told h3") == "fc6"
    assert told(opened) == list(arithmetic(vgg, "fc6"))
    assert ["weights", "in_features * out_features = 25088 * 4096", "102,760,448"] in told(opened)
    assert opened.tab.locator("#drawing .chosen").get_attribute("aria-label").startswith("fc6")
    opened.tab.locator("#drawing [data-box]", has_text="pool5").last.click()
    assert told(opened) == list(arithmetic(vgg, "pool5"))


def test_a_layer_in_a_closed_block_is_opened(opened, vgg):
    opened.tab.click("[data-do=close]")
    opened.tab.locator("#layers button[data-layer]", has_text="conv4_2.conv2d_1").click()
    assert told(opened) == list(arithmetic(vgg, "conv4_2.conv2d_1"))
    assert opened.tab.locator("#drawing .chosen").count() == 1


def test_the_diagram_by_keyboard(opened):
    opened.tab.click("[data-do=close]")
    opened.tab.locator("#drawing [tabindex='0']").focus()
    focused = "() => document.activeElement.getAttribute('aria-label').split(',')[0]"
    assert opened.tab.evaluate(focused) == "conv1 × 2"
    opened.tab.keyboard.press("ArrowDown")
    assert opened.tab.evaluate(focused) == "pool1"
    opened.tab.keyboard.press("Enter")
    assert opened.tab.text_content("#told h3") == "pool1"
    opened.tab.keyboard.press("ArrowUp")
    opened.tab.keyboard.press("ArrowRight")
    assert opened.tab.locator("#drawing [aria-expanded=true]").count() == 1
    opened.tab.keyboard.press("ArrowRight")
    assert opened.tab.evaluate(focused) == "conv1_1"
    opened.tab.keyboard.press("ArrowLeft")
    opened.tab.keyboard.press("ArrowLeft")
    assert opened.tab.locator("#drawing [aria-expanded=true]").count() == 0
    opened.tab.keyboard.press("End")
    assert opened.tab.evaluate(focused) == "fc8"
    before = float(opened.tab.get_attribute("#drawing", "data-zoom"))
    opened.tab.keyboard.press("+")
    assert float(opened.tab.get_attribute("#drawing", "data-zoom")) > before


def test_a_block_shows_its_sums(opened, vgg):
    opened.tab.click("[data-do=close]")
    opened.tab.locator("#drawing [data-box]", has_text="conv5").locator(".face").click()
    inside = [layer for layer in vgg.layers if layer.name.startswith("conv5")]
    keys = ("params", "buffers", "macs", "flops", "activation_bytes", "weight_bytes", "bytes_read", "bytes_written")
    assert values(opened, "#told") == [sum(getattr(layer, key) for layer in inside) for key in keys]


@pytest.mark.parametrize("name", ["vgg16", "googlenet", "resnet50", "densenet121", "unet"])
def test_boxes_do_not_overlap(visit, page_of, name):
    """Siblings stay apart, and a block holds what is inside it."""
    opened = visit(page_of(name), charts=False)
    opened.tab.click("[data-do=open]")
    opened.tab.click("[data-do=one]")
    found = opened.tab.evaluate("""() => {
      const face = (one) => one.querySelector(':scope > .face').getBoundingClientRect();
      const box = (one) => { const r = face(one); return [r.left, r.top, r.right, r.bottom]; };
      return [...document.querySelectorAll('#drawing [data-box]')].map((one) => {
        const above = one.parentElement.closest('[data-box]');
        return [box(one), above ? above.dataset.box : 'root', above ? box(above) : null];
      });
    }""")
    families = {}
    for (left, top, right, bottom), above, around in found:
        if around:
            assert (around[0] < left, around[1] < top, right < around[2], bottom < around[3]) == (True,) * 4
        families.setdefault(above, []).append((left, top, right, bottom))
    for family in families.values():
        for place, a in enumerate(family):
            for b in family[place + 1 :]:
                assert a[2] < b[0] or b[2] < a[0] or a[3] < b[1] or b[3] < a[1]


# --- ways to look at it


@pytest.mark.parametrize(
    ("name", "width", "dark"),
    [
        ("vgg16", 1400, False), ("vgg16", 1400, True), ("vgg16", 390, False), ("vgg16", 390, True),
        ("densenet121", 1400, False), ("densenet121", 390, True),
    ],
)  # fmt: skip
def test_it_fits_every_width(visit, page_of, keep, name, width, dark):
    opened = visit(page_of(name), width, dark)
    assert opened.tab.evaluate("() => document.documentElement.scrollWidth") == width
    shot = keep(opened, f"{name}-{width}-{'dark' if dark else 'light'}")
    assert struct.unpack(">I", shot[16:20])[0] == width
    assert opened.errors == []


def test_everything_has_a_name(opened):
    tab = opened.tab
    assert tab.locator("h1").count() == 1
    nameless = tab.evaluate("""() => [...document.querySelectorAll('button, input, select, [role=img], .box')]
      .filter((one) => !one.closest('.modebar'))
      .filter((one) => !(one.getAttribute('aria-label') || one.textContent.trim() || one.labels?.length))
      .map((one) => one.outerHTML)""")
    assert nameless == []
    assert tab.locator("table:not(:has(caption))").count() == 0
    assert tab.get_attribute("html", "lang") == "en"
    links = tab.eval_on_selector_all(".bar a", "all => all.map(one => one.getAttribute('href'))")
    assert all(tab.locator(link).count() == 1 for link in links)


def test_it_prints(visit, page_of):
    opened = visit(page_of("vgg16"))
    opened.tab.emulate_media(media="print")
    assert not opened.tab.locator(".bar").is_visible()
    assert opened.tab.locator("#layers tbody tr").last.is_visible()
    assert opened.tab.pdf().startswith(b"%PDF")


# --- the others


def test_a_comparison(visit, page_of, keep):
    names = ("alexnet", "vgg16", "googlenet", "resnet50", "densenet121", "mobilenet_v2")
    opened = visit(page_of(*names))
    reports = {name: analyze(load(name)) for name in names}
    rows = opened.tab.locator(".networks tbody tr")
    assert rows.count() == len(names)
    opened.tab.locator(".networks thead button", has_text="Parameters").click()
    order = opened.tab.eval_on_selector_all(".networks tbody th", "all => all.map(one => one.textContent)")
    assert order == sorted(names, key=lambda name: -reports[name].totals.params)
    opened.tab.locator(".networks thead button", has_text="Top-1 error").click()
    last = opened.tab.locator(".networks tbody th").last.text_content()
    assert last == "googlenet", "no top-1 error is published for it"
    drawn = opened.tab.eval_on_selector_all(
        "[data-chart]", "all => all.map(one => [one.dataset.chart, +one.dataset.drawn])"
    )
    assert dict(drawn) == {"bubble": 1, "depth": 2, "totals": 6}
    for row in range(len(names)):
        name = rows.nth(row).locator("th").text_content()
        totals = reports[name].totals
        cells = rows.nth(row).locator("data:not(.error)").evaluate_all("all => all.map(one => Number(one.value))")
        assert cells == [
            totals.params, totals.weight_bytes, totals.macs, totals.flops, totals.activation_bytes, totals.depth,
        ]  # fmt: skip
    keep(opened, "comparison-1400-light")
    assert opened.errors == []
    assert opened.requests == [page_of(*names).as_uri()]


def test_a_page_of_the_gallery(visit, vgg):
    """Pages that share their scripts run from a disk, too."""
    page = Path(__file__).resolve().parent.parent.parent / "reports" / "vgg16.html"
    opened = visit(page)
    folder = page.parent.as_uri()
    files = ["vgg16.html", "assets/page.css", "assets/page.js", "assets/plotly.min.js"]
    assert sorted(opened.requests) == sorted(f"{folder}/{name}" for name in files)
    drawn = sum(1 for chart in charts_of(network_records(vgg)) if chart.figure)
    assert opened.tab.locator("[data-drawn]").count() == drawn
    assert opened.errors == []
