/* Charts are drawn one after another while the browser is idle, so that the page responds from the start. */
const settings = { responsive: true, displaylogo: false, modeBarButtons: [["toImage", "resetScale2d"]] };
const idle = window.requestIdleCallback || ((act) => setTimeout(act, 30));

/* On a narrow screen: fewer tick labels, smaller circles, and no legend if a table shows the colours. */
function fitted(layout, width) {
  const { tickvals, ticktext } = layout.xaxis || {};
  const few = ticktext ? Math.ceil((tickvals.length * 15) / width) : 1;
  if (few === 1) return layout;
  const kept = (list) => list.filter((_, place) => place % few === 0);
  return { ...layout, xaxis: { ...layout.xaxis, tickvals: kept(tickvals), ticktext: kept(ticktext) } };
}

/* The traces with the attributes of the first view; a key with a dot changes part of an existing attribute. */
const whole = ({ figure, views }) =>
  figure.data.map((trace, place) => ({ ...trace, ...Object.fromEntries(Object.entries(views[0]?.traces[place] || {}).filter(([key]) => !key.includes("."))) }));

/* Draws a chart; resolves to a function that switches its view. */
function drawBars(plot, chart) {
  const layout = fitted(chart.figure.layout, plot.clientWidth);
  if (plot.clientWidth <= 560 && chart.key === "split") layout.showlegend = false;
  const traces = whole(chart);
  for (const { marker } of traces) if (marker?.sizeref) marker.sizeref *= Math.max(1, (700 / plot.clientWidth) ** 2);
  return Plotly.newPlot(plot, traces, layout, settings).then(() => {
    plot.querySelector(".modebar").setAttribute("aria-label", "Tools of the chart");
    for (const button of plot.querySelectorAll(".modebar-btn")) button.setAttribute("aria-label", button.dataset.title);
    return (view) => {
      const restyle = {};
      for (const key of Object.keys(view.traces[0] || {})) restyle[key] = view.traces.map((trace) => trace[key]);
      Plotly.update(plot, restyle, view.layout);
    };
  });
}

function drawChart(chart) {
  const figure = document.querySelector(`[data-chart="${chart.key}"]`);
  const plot = figure.querySelector(".plot");
  return (chart.key === "tree" ? drawTree : drawBars)(plot, chart).then((show) => {
    figure.dataset.drawn = plot.data.length;
    const buttons = [...figure.querySelectorAll("[data-view]")];
    buttons.forEach((button) =>
      button.addEventListener("click", () => {
        buttons.forEach((other) => other.setAttribute("aria-pressed", other === button));
        show(chart.views[button.dataset.view]);
      })
    );
  });
}

addEventListener("load", () => {
  const waiting = [...data.charts];
  const next = () => {
    const chart = waiting.shift();
    if (!chart) {
      document.documentElement.dataset.ready = "charts";
      return mark("charts");
    }
    drawChart(chart).then(() => idle(next, { timeout: 200 }));
  };
  idle(next, { timeout: 200 });
});
