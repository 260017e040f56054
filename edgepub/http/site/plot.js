/** The plot of the last ten minutes: latency as two lines, and dropped messages as bars below them. */

import { svg } from "./elements.js";
import { formatMs } from "./formatting.js";

const SPAN_S = 600;
const STEP_S = 5;
const MIN_TICK_PX = 80; // between the labels of the time axis
const MARGIN = { left: 52, right: 10, top: 10, bottom: 20 };
const BARS_HEIGHT = 26;
const GAP = 10;
const MAX_TICKS = 4;

/**
 * @param {SVGSVGElement} root
 * @param {HTMLElement} caption gets a summary as text.
 */
export class Plot {
  #root;
  #caption;
  #points = [];
  #width = 0;
  #height = 0;

  constructor(root, caption) {
    this.#root = root;
    this.#caption = caption;
    new ResizeObserver(([{ contentRect }]) => this.#resize(contentRect)).observe(root);
  }

  /**
   * Add points, oldest first.
   * @param {{at: number, p50_ms: ?number, p95_ms: ?number, dropped: number}[]} points
   * @param {boolean} replace whether they replace those that are shown.
   */
  add(points, replace) {
    const all = replace ? points : this.#points.concat(points);
    const newest = all.length ? all[all.length - 1].at : 0;
    // `<=`: later ones are from before the clock was set back.
    this.#points = all.filter(({ at }) => at > newest - SPAN_S && at <= newest);
    this.#caption.textContent = summary(this.#points);
    this.#draw();
  }

  #resize({ width, height }) {
    this.#width = width;
    this.#height = height;
    this.#root.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.#draw();
  }

  #draw() {
    if (!this.#width) return;
    const area = {
      left: MARGIN.left,
      right: this.#width - MARGIN.right,
      top: MARGIN.top,
      bottom: this.#height - MARGIN.bottom - BARS_HEIGHT - GAP,
    };
    const newest = this.#points.length ? this.#points[this.#points.length - 1].at : 0;
    const x = (at) => area.right - ((newest - at) / SPAN_S) * (area.right - area.left);
    const highest = Math.max(0, ...this.#points.flatMap(({ p50_ms: p50, p95_ms: p95 }) => [p50 ?? 0, p95 ?? 0]));
    const step = tick(highest || 1);
    const top = step * Math.max(1, Math.ceil(highest / step));
    const y = (value) => area.bottom - (value / top) * (area.bottom - area.top);
    this.#root.replaceChildren(
      ...this.#latencyAxis(area, y, step, top),
      ...this.#timeAxis(area),
      ...this.#bars(area, x),
      svg("path", { class: "p95", d: path(this.#points, "p95_ms", x, y) }),
      svg("path", { class: "p50", d: path(this.#points, "p50_ms", x, y) }),
    );
  }

  #latencyAxis(area, y, step, top) {
    const parts = [];
    for (let value = 0; value <= top + step / 2; value += step) {
      const at = Math.round(y(value)) + 0.5;
      const label = value === 0 ? "0" : formatMs(value).replace(".0 ", " ");
      parts.push(svg("line", { class: "grid", x1: area.left, x2: area.right, y1: at, y2: at }));
      parts.push(makeText(label, { x: area.left - 6, y: at + 4, "text-anchor": "end" }));
    }
    return parts;
  }

  #timeAxis(area) {
    const parts = [];
    const widthOf = (seconds) => (seconds / SPAN_S) * (area.right - area.left);
    const interval = [120, 300].find((seconds) => widthOf(seconds) >= MIN_TICK_PX) ?? SPAN_S;
    for (let ago = 0; ago <= SPAN_S; ago += interval) {
      const at = area.right - (ago / SPAN_S) * (area.right - area.left);
      const anchor = ago === 0 ? "end" : ago === SPAN_S ? "start" : "middle";
      const label = ago === 0 ? "now" : `−${ago / 60} min`;
      parts.push(makeText(label, { x: at, y: this.#height - 5, "text-anchor": anchor }));
    }
    return parts;
  }

  #bars(area, x) {
    const base = Math.round(this.#height - MARGIN.bottom) + 0.5;
    const most = Math.max(0, ...this.#points.map(({ dropped }) => dropped));
    const width = Math.max(1.5, ((area.right - area.left) * STEP_S) / SPAN_S - 1);
    const parts = [
      svg("line", { class: "grid", x1: area.left, x2: area.right, y1: base, y2: base }),
      makeText(most ? String(most) : "drops", {
        x: area.left - 6,
        y: base - BARS_HEIGHT / 2 + 4,
        "text-anchor": "end",
      }),
    ];
    for (const { at, dropped } of this.#points) {
      if (!dropped) continue;
      const height = Math.max(2, (dropped / most) * BARS_HEIGHT);
      parts.push(svg("rect", { class: "drops", x: x(at) - width, y: base - height, width, height }));
    }
    return parts;
  }
}

function makeText(content, attributes) {
  const element = svg("text", attributes);
  element.textContent = content;
  return element;
}

/** Return a path through the points, with a gap where a value is missing. */
function path(points, key, x, y) {
  let d = "";
  let command = "M";
  for (const point of points) {
    const value = point[key];
    if (!Number.isFinite(value)) {
      command = "M";
    } else {
      // A point between two gaps becomes a dot: a line of zero length with round ends.
      const at = `${x(point.at).toFixed(1)},${y(value).toFixed(1)}`;
      d += command === "M" ? `M${at}L${at}` : `L${at}`;
      command = "L";
    }
  }
  return d;
}

/** Return the smallest of 1, 2, 5, 10, ... (or their tenths) that gives at most MAX_TICKS steps up to a value. */
function tick(value) {
  const power = 10 ** Math.floor(Math.log10(value / MAX_TICKS));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => value / step <= MAX_TICKS);
}

function summary(points) {
  const measured = points.filter(({ p95_ms: p95 }) => Number.isFinite(p95));
  if (!measured.length) return "No measurement yet. The first comes after 5 seconds.";
  const { p50_ms: p50, p95_ms: p95 } = measured[measured.length - 1];
  const highest = Math.max(...measured.map((point) => point.p95_ms));
  const dropped = points.reduce((sum, point) => sum + point.dropped, 0);
  const now = `Now ${formatMs(p50)} (p50), ${formatMs(p95)} (p95)`;
  return `${now}; highest p95 ${formatMs(highest)}; ${dropped} dropped.`;
}
