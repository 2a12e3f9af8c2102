"""How soon a page shows something, and how soon it answers. Prints what it measures."""

from __future__ import annotations

import sys

import pytest

PAINT_MS, ANSWER_MS = 2000, 100
REPEATS = 5
"""The machine may be busy with something else: the least of several runs is what the page itself takes."""

# From an action to the frame that shows its result: script, style, layout and paint.
MEASURE = """async ([action, repeats]) => {
  const act = new Function(action);
  let least = Infinity;
  for (let k = 0; k < repeats; k++) {
    await new Promise(requestAnimationFrame);
    const start = performance.now();
    act();
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    least = Math.min(least, performance.now() - start);
  }
  return least;
}"""
ACTIONS = {
    "sort": "document.querySelector('#layers th[data-key=macs] button').click()",
    "filter": """const input = document.getElementById('filter');
        input.value = input.value ? '' : 'conv'; input.dispatchEvent(new Event('input'))""",
    "group": "document.querySelector('#chips [data-of=conv]').click()",
    "theme": "document.getElementById('theme').click()",
    "zoom": "document.querySelector('[data-do=in]').click()",
    "choose": """const boxes = document.querySelectorAll('#drawing [data-box]');
        boxes[Math.floor(Math.random() * boxes.length)].dispatchEvent(new MouseEvent('click', {bubbles: true}))""",
    "switch a chart": "document.querySelectorAll('[data-chart=tree] [data-view]')[1].click()",
    "open a block": "document.querySelector('#drawing .fold').dispatchEvent(new MouseEvent('click', {bubbles: true}))",
}


@pytest.mark.parametrize("name", ["densenet201", "resnet152"])
def test_it_is_fast(visit, page_of, name, capsys):
    opened = visit(page_of(name))
    paint = opened.tab.evaluate("() => performance.getEntriesByName('first-contentful-paint')[0].startTime")
    table = opened.tab.evaluate("() => performance.getEntriesByName('table')[0].startTime")
    diagram = opened.tab.evaluate("() => performance.getEntriesByName('diagram')[0].startTime")
    charts = opened.tab.evaluate("() => performance.getEntriesByName('charts')[0].startTime")
    answers = {what: opened.tab.evaluate(MEASURE, [action, REPEATS]) for what, action in ACTIONS.items()}
    switched = opened.tab.evaluate("""() => new Promise((done) => {
      const figure = document.querySelector('[data-chart=tree]');
      const start = performance.now();
      figure.querySelector('.plot').once('plotly_afterplot', () => done(performance.now() - start));
      figure.querySelector('[data-view="2"]').click();
    })""")
    size = page_of(name).stat().st_size
    with capsys.disabled():
        sys.stdout.write(
            f"\n{name}: {size / 1e6:.2f} MB; first paint {paint:.0f} ms, table {table:.0f}, diagram {diagram:.0f}, "
            f"all charts {charts:.0f}, another treemap {switched:.0f}; "
            + ", ".join(f"{what} {ms:.0f} ms" for what, ms in answers.items())
            + "\n"
        )
    assert paint < PAINT_MS
    assert diagram < PAINT_MS
    assert {what: ms for what, ms in answers.items() if ms >= ANSWER_MS} == {}
