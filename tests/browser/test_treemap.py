"""The treemap on the page: areas, stepping in and out, by mouse and by keyboard."""

from __future__ import annotations

import pytest

from convcost import analyze, load


@pytest.fixture
def opened(visit, page_of):
    return visit(page_of("vgg16"))


def boxes(opened):
    """The boxes as (label, area in pixels, whether others lie inside); a pixel of gap is part of a box."""
    found = opened.tab.eval_on_selector_all(
        ".cell",
        "all => all.map(one => [one.textContent, parseFloat(one.style.width) + 1, parseFloat(one.style.height) + 1,"
        " one.classList.contains('frame')])",
    )
    return [(label, width * height, frame) for label, width, height, frame in found]


def enter(opened, label):
    """A click on a block's heading: boxes cover its middle."""
    opened.tab.locator(".cell", has_text=label).first.click(position={"x": 20, "y": 8})


def said(opened):
    opened.tab.mouse.move(0, 0)
    return opened.tab.text_content(".crumbs span")


def test_areas_are_shares(opened):
    """fc6, fc7 and fc8 of VGG-16: 102,764,544 to 16,781,312 to 4,097,000 parameters, side by side in one frame."""
    areas = {label[:3]: area for label, area, frame in boxes(opened) if label.startswith("fc")}
    assert areas["fc6"] / areas["fc7"] == pytest.approx(102_764_544 / 16_781_312, rel=0.01)
    assert areas["fc7"] / areas["fc8"] == pytest.approx(16_781_312 / 4_097_000, rel=0.01)
    # What is inside fills the network's own box but for its heading and a margin of two pixels.
    width, height = (
        opened.tab.locator(".cell").first.evaluate(f"one => parseFloat(one.style.{side}) + 1")
        for side in ("width", "height")
    )
    assert areas["fc6"] == pytest.approx((width - 4) * (height - 22) * 102_764_544 / 138_357_544, rel=0.01)


@pytest.mark.parametrize("name", ["densenet121", "unet"])
def test_boxes_lie_inside_each_other_or_apart(visit, page_of, name):
    opened = visit(page_of(name))
    rects = opened.tab.eval_on_selector_all(
        ".cell",
        "all => all.map(one => [...['left', 'top', 'width', 'height'].map(key => parseFloat(one.style[key])),"
        " one.classList.contains('frame')])",
    )
    assert len(rects) > 20
    slack = 0.2
    for place, (x, y, w, h, frame) in enumerate(rects):
        for a, b, c, d, _ in rects[place + 1 :]:
            apart = a >= x + w - slack or x >= a + c - slack or b >= y + h - slack or y >= b + d - slack
            inside = frame and a >= x - slack and b >= y - slack and a + c <= x + w + slack and b + d <= y + h + slack
            assert apart or inside


def test_a_click_enters_a_block_and_the_outermost_leads_back(opened):
    whole = boxes(opened)
    conv5 = sum(layer.params for layer in analyze(load("vgg16")).layers if layer.name.startswith("conv5"))
    enter(opened, "conv5 × 3")
    assert said(opened).startswith(f"conv5 × 3, {conv5:,} parameters")
    assert boxes(opened)[0][0] == "conv5 × 3"
    opened.tab.locator(".cell.frame").first.click(position={"x": 300, "y": 8})
    assert boxes(opened) == whole
    enter(opened, "fc6")
    assert boxes(opened) == whole, "a layer has nothing inside"


def test_what_lies_above_stands_in_the_bar(visit, page_of):
    opened = visit(page_of("densenet121"))
    enter(opened, "block4")
    enter(opened, "block4_16")
    assert opened.tab.locator(".crumbs button").all_text_contents() == ["densenet121", "block4 × 16"]
    assert said(opened).startswith("block4_16, 166,080 parameters, 166.08K, 2.1% of parameters")
    opened.tab.locator(".crumbs button").first.click()
    assert boxes(opened)[0][0] == "densenet121"


def test_by_keyboard(opened):
    opened.tab.locator(".cell[tabindex='0']").focus()
    assert said(opened) == "vgg16, 138,357,544 parameters, 138.36M, 100.0% of parameters"
    for _ in range(len(boxes(opened))):
        opened.tab.keyboard.press("ArrowRight")
        if said(opened).startswith("conv4"):
            break
    opened.tab.keyboard.press("Enter")
    assert boxes(opened)[0][0] == "conv4 × 3"
    label = "() => document.activeElement.ariaLabel"
    assert opened.tab.evaluate(label) == said(opened)
    opened.tab.keyboard.press("End")
    assert opened.tab.evaluate(label).startswith("conv4_1, 1,180,160 parameters")
    opened.tab.keyboard.press("Escape")
    assert boxes(opened)[0][0] == "vgg16"
    assert opened.tab.locator(".cell[tabindex='0']").count() == 1


def test_a_quantity_that_a_block_lacks_shows_what_is_around_it(visit, page_of):
    """pool1 of AlexNet has activations and no parameters."""
    opened = visit(page_of("densenet121"))
    figure = opened.tab.locator("[data-chart=tree]")
    figure.get_by_role("button", name="activation memory", exact=True).click()
    enter(opened, "block1 × 6")
    enter(opened, "block1_1")
    figure.get_by_role("button", name="MACs", exact=True).click()
    assert opened.tab.locator(".crumbs button").all_text_contents() == ["densenet121", "block1 × 6"]


def test_it_follows_the_width(opened):
    opened.tab.set_viewport_size({"width": 390, "height": 844})
    opened.tab.wait_for_function("() => parseFloat(document.querySelector('.cell').style.width) < 390")
    opened.tab.wait_for_function("() => document.documentElement.scrollWidth === 390")
