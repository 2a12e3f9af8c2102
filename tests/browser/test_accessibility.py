"""Who does not see the page, or has no mouse: names, contrast, focus, the way through by keyboard."""

from __future__ import annotations

from itertools import pairwise

import pytest

# Every text that is shown, with the contrast to what lies behind it, as WCAG 2.1 defines it.
CONTRASTS = """() => {
  const numbers = (text) => (text.match(/[0-9.]+/g) || []).map(Number);
  /* A mixed colour is color(srgb 0.5 ...), of parts up to 1. */
  const parse = (text) => (text.startsWith('color') ? numbers(text).map((part) => part * 255) : numbers(text));
  const over = ([r, g, b, a = 1], below) => [r, g, b].map((part, k) => part * a + below[k] * (1 - a));
  const ground = (one) => {
    const layers = [];
    for (let up = one; up; up = up.parentElement) {
      const colour = parse(getComputedStyle(up).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) layers.push(colour);
      if (colour.length === 3) break;
    }
    return layers.reverse().reduce((below, colour) => over(colour, below), [255, 255, 255]);
  };
  const luminance = (colour) => {
    const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = colour.map((part) => linear(part / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const one = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !one.checkVisibility({ visibilityProperty: true })) continue;
    if (one.closest('script, style, noscript, .modebar, #js-plotly-tester')) continue;
    const style = getComputedStyle(one);
    let behind = ground(one);
    const bar = one.closest('.point')?.querySelector('path');
    if (bar && one.classList.contains('bartext-inside')) behind = parse(getComputedStyle(bar).fill);
    const colour = over(parse(one instanceof SVGElement ? style.fill : style.color), behind);
    const [light, deep] = [luminance(colour), luminance(behind)].sort((a, b) => b - a);
    found.push([(light + 0.05) / (deep + 0.05), walk.currentNode.data.trim().slice(0, 40), one.outerHTML.slice(0, 60)]);
  }
  return found;
}"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("names", [("vgg16",), ("densenet121",), ("alexnet", "vgg16", "densenet121")], ids="-".join)
def test_every_text_has_contrast(visit, page_of, names, dark):
    """WCAG 2.1 AA: 4.5 to 1 for text, that in charts and in boxes included."""
    opened = visit(page_of(*names), dark=dark)
    opened.tab.eval_on_selector_all("details", "all => all.forEach((one) => (one.open = true))")
    found = opened.tab.evaluate(CONTRASTS)
    assert len(found) > 200
    assert [one for one in found if one[0] < 4.5] == []


def test_the_way_by_keyboard(visit, page_of):
    """Tab reaches every control once, in the order of the page, shows where it is, and leaves the page in the end."""
    opened = visit(page_of("vgg16"))
    tab = opened.tab
    # A smooth scroll would still be on its way when the next key comes.
    tab.emulate_media(reduced_motion="reduce")
    expected = tab.evaluate("""() => [...document.querySelectorAll('a[href], button, input, select, [tabindex]')]
      .filter((one) => one.tabIndex >= 0 && one.checkVisibility({ visibilityProperty: true })).length""")
    seen = []
    for _ in range(expected + 20):
        tab.keyboard.press("Tab")
        at = tab.evaluate("""() => {
          const one = document.activeElement;
          if (one === document.body) return null;
          const style = getComputedStyle(one), face = one.querySelector(':scope > .face');
          const marked = parseFloat(style.outlineWidth) >= 1 && style.outlineStyle !== 'none';
          one.dataset.seen = (one.dataset.seen || 0) - -1;
          const r = one.getBoundingClientRect();
          return [one.dataset.seen, marked || Boolean(face && parseFloat(getComputedStyle(face).strokeWidth) >= 2),
            r.width > 0 && r.bottom > 0 && r.top < innerHeight, one.outerHTML.slice(0, 90)];
        }""")
        if at is None:
            break
        seen.append(at)
    else:
        pytest.fail("the keyboard does not leave the page")
    assert len(seen) == expected
    assert [one for one in seen if one[:3] != ["1", True, True]] == []
    assert 'class="skip"' in seen[0][3]


def test_the_skip_link_leads_past_the_bar(visit, page_of):
    tab = visit(page_of("vgg16"), charts=False).tab
    tab.keyboard.press("Tab")
    assert tab.evaluate("() => document.activeElement.getBoundingClientRect().width") > 40
    tab.keyboard.press("Enter")
    tab.keyboard.press("Tab")
    assert tab.evaluate("() => document.activeElement.closest('main') !== null")


def test_what_changes_is_said(visit, page_of):
    """Live regions for the layer that is chosen and the number of layers shown; headings in order; names of regions."""
    tab = visit(page_of("vgg16")).tab
    assert tab.get_attribute("#told", "aria-live") == "polite"
    assert tab.get_attribute("#found", "role") == "status"
    levels = tab.eval_on_selector_all("h1, h2, h3", "all => all.map((one) => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    unlabelled = tab.eval_on_selector_all(
        "section, nav, [role=region], [role=group], [role=toolbar], [role=tree]",
        "all => all.filter((one) => !one.getAttribute('aria-label') && !one.getAttribute('aria-labelledby'))"
        ".map((one) => one.outerHTML.slice(0, 80))",
    )
    assert unlabelled == []
    for role in ("table", "rowgroup", "row", "columnheader", "rowheader", "cell"):
        assert tab.locator(f".claims[role={role}], .claims [role={role}]").count() > 0
