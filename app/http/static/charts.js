/* The console's charts: lines over the last seconds, in the colours of the page. */

import uPlot from "./vendor/uplot/uPlot.js";

const HEIGHT = 180; // as console.css has it
const scheme = matchMedia("(prefers-color-scheme: dark)");

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const clockTime = (at) => new Date(at * 1_000).toLocaleTimeString(undefined, { hour12: false });

/** A chart in an element. `series`: [{colour, isFilled}], colours by their names among the page's tokens; the figure's caption says
 * which is which. */
export class LineChart {
  #element;
  #series;
  #plot = null;
  #data = null;

  constructor(element, series) {
    this.#element = element;
    this.#series = series;
    element.setAttribute("role", "group");
    element.setAttribute("aria-label", element.closest("figure").querySelector("figcaption").textContent);
    new ResizeObserver(() => this.#resize()).observe(element);
    scheme.addEventListener("change", () => this.#rebuild());
  }

  /** Show columns: seconds of the epoch, then the values of each series; null is a gap. */
  show(data) {
    this.#data = data;
    if (this.#plot) this.#plot.setData(data);
    else this.#build();
  }

  #width() {
    return Math.max(this.#element.clientWidth, 120);
  }

  #resize() {
    this.#plot?.setSize({ width: this.#width(), height: HEIGHT });
  }

  #rebuild() {
    this.#plot?.destroy();
    this.#plot = null;
    if (this.#data) this.#build();
  }

  #build() {
    const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
    const options = {
      width: this.#width(),
      height: HEIGHT,
      cursor: { y: false, points: { size: 6 } },
      legend: { show: false },
      scales: { y: { range: (_plot, _low, high) => [0, Math.max(high * 1.1, 1)] } },
      axes: [{ ...axis, space: 90, values: (_plot, times) => times.map(clockTime) }, { ...axis, size: 46, space: 32 }],
      series: [
        {},
        ...this.#series.map(({ colour: name, isFilled }) => ({
          spanGaps: true,
          stroke: colour(name),
          fill: isFilled ? `${colour(name)}22` : undefined,
          width: 2,
          points: { show: false },
        })),
      ],
    };
    this.#plot = new uPlot(options, this.#data, this.#element);
  }
}
