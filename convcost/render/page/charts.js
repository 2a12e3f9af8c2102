/* Charts: drawn one after another while nothing else is to do, so that the page answers from the start. */
const settings = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
const idle = window.requestIdleCallback || ((act) => setTimeout(act, 30));

/* A phone has room for fewer names, and for a legend only where no table says what the colours mean. */
function fitted(layout, width) {
  const { tickvals, ticktext } = layout.xaxis || {};
  const few = tickvals ? Math.ceil((tickvals.length * 15) / width) : 1;
  if (few === 1) return layout;
  const kept = (list) => list.filter((_, place) => place % few === 0);
  return { ...layout, xaxis: { ...layout.xaxis, tickvals: kept(tickvals), ticktext: kept(ticktext) } };
}

function drawChart(chart) {
  const figure = document.querySelector(`[data-chart="${chart.key}"]`);
  const plot = figure.querySelector(".plot");
  const layout = fitted(chart.figure.layout, plot.clientWidth);
  if (plot.clientWidth <= 560 && chart.key === "split") layout.showlegend = false;
  return Plotly.newPlot(plot, chart.figure.data, layout, settings).then(() => {
    figure.dataset.drawn = plot.data.length;
    figure.querySelectorAll("[data-view]").forEach((button) =>
      button.addEventListener("click", () => {
        const view = chart.views[button.dataset.view];
        const restyle = {};
        for (const key of Object.keys(view.traces[0] || {})) restyle[key] = view.traces.map((trace) => trace[key]);
        figure.querySelectorAll("[data-view]").forEach((other) => other.setAttribute("aria-pressed", other === button));
        /* The button answers in the next frame; hundreds of bars or boxes follow in the one after. */
        requestAnimationFrame(() => requestAnimationFrame(() => Plotly.update(plot, restyle, view.layout)));
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
