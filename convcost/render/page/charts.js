/* Charts: drawn one after another while nothing else is to do, so that the page answers from the start. */
const settings = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
const idle = window.requestIdleCallback || ((act) => setTimeout(act, 30));

function drawChart(chart) {
  const figure = document.querySelector(`[data-chart="${chart.key}"]`);
  const plot = figure.querySelector(".plot");
  return Plotly.newPlot(plot, chart.figure.data, chart.figure.layout, settings).then(() => {
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
