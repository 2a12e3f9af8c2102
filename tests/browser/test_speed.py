"""Every control of a page responds. The times until the page has changed are printed and not asserted."""

from __future__ import annotations

import sys

import pytest

REPEATS = 3
"""The shortest of several runs is the time of the page itself, if the machine is busy."""

# From an action to the frame that shows its result: script, style, layout and paint.
MEASURE = """async ([before, action, repeats]) => {
  const prepare = new Function(before), act = new Function(action);
  let least = Infinity;
  for (let k = 0; k < repeats; k++) {
    prepare();
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
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
    "open a block": "document.querySelector('#drawing .fold').dispatchEvent(new MouseEvent('click', {bubbles: true}))",
    "every digit": "document.getElementById('exact').click()",
}
SWITCHES = (
    ("layers", "linear"), ("layers", "logarithmic"), ("memory", "inference"), ("memory", "training step with AdamW"),
    *(("tree", quantity) for quantity in ("parameters", "MACs", "activation memory", "bytes moved")),
)  # fmt: skip
PRESS = "[...document.querySelectorAll('[data-chart={}] [data-view]')].{}(one => one.textContent {} '{}').click()"
"""Presses a button of a chart: the one of this name, or any other before it."""
DEEP = {
    "a layer in a closed block": (
        "document.querySelector('[data-do=close]').click()",
        "document.querySelectorAll('#layers button[data-layer]')[200].click()",
    ),
    "another quantity in the diagram": (
        "document.getElementById('heat').value = 'params'",
        "document.getElementById('heat').dispatchEvent(new Event('change'))",
    ),
}
ENTER = "document.querySelectorAll('.cell.frame')[{}].click()"


@pytest.mark.parametrize("name", ["densenet201", "resnet152"])
def test_every_control_responds(visit, page_of, name, capsys):
    opened = visit(page_of(name))
    paint = opened.tab.evaluate("() => performance.getEntriesByName('first-contentful-paint')[0].startTime")
    table = opened.tab.evaluate("() => performance.getEntriesByName('table')[0].startTime")
    diagram = opened.tab.evaluate("() => performance.getEntriesByName('diagram')[0].startTime")
    charts = opened.tab.evaluate("() => performance.getEntriesByName('charts')[0].startTime")
    answers = {what: opened.tab.evaluate(MEASURE, ["", action, REPEATS]) for what, action in ACTIONS.items()}
    for chart, quantity in SWITCHES:
        before, action = (PRESS.format(chart, "find", sign, quantity) for sign in ("!==", "==="))
        answers[f"{chart}: {quantity}"] = opened.tab.evaluate(MEASURE, [before, action, REPEATS])
    for what, (before, action) in DEEP.items():
        answers[what] = opened.tab.evaluate(MEASURE, [before, action, REPEATS])
    answers["into a block"] = opened.tab.evaluate(MEASURE, ["", ENTER.format(1), 1])
    answers["out of it"] = opened.tab.evaluate(MEASURE, ["", ENTER.format(0), 1])
    size = page_of(name).stat().st_size
    with capsys.disabled():
        sys.stdout.write(
            f"\n{name}: {size / 1e6:.2f} MB; first paint {paint:.0f} ms, table {table:.0f}, diagram {diagram:.0f}, "
            f"all charts {charts:.0f}; " + ", ".join(f"{what} {ms:.0f} ms" for what, ms in answers.items()) + "\n"
        )
    assert min(paint, table, diagram, charts) > 0
    assert min(answers.values()) > 0
