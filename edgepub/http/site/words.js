/** Figures and events in words for people. */

/**
 * A rate, with one decimal; a dash where there is none.
 * @param {?number} fps
 */
export function rate(fps) {
  return Number.isFinite(fps) ? fps.toFixed(1) : "–";
}

/**
 * Milliseconds with as many decimals as say something.
 * @param {?number} value
 */
export function milliseconds(value) {
  if (!Number.isFinite(value)) return "–";
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

/**
 * What an event says that happened.
 * @param {{event_type: string, zone?: string, line?: string, direction?: string, dwell_s?: number}} event
 */
export function happened(event) {
  const after = Number.isFinite(event.dwell_s) ? ` after ${duration(event.dwell_s)}` : "";
  switch (event.event_type) {
    case "appeared":
      return "appeared";
    case "left":
      return `left${after}`;
    case "zone_entered":
      return `entered ${event.zone}`;
    case "zone_left":
      return `left ${event.zone}${after}`;
    case "line_crossed":
      return `crossed ${event.line} to the ${event.direction}`;
    default:
      return event.event_type;
  }
}

/**
 * Why a camera shows no new pictures, for a person; empty while it does.
 * @param {string} status
 * @param {?string} fault
 */
export function absence(status, fault) {
  if (status === "online") return "";
  if (status === "disabled") return "Disabled: switched off in its settings.";
  return fault ? `Offline: ${fault}` : "Offline: its file has ended.";
}

/**
 * What was left out on purpose, a second, and why; empty where nothing was.
 * @param {Object<string, number>} reasons
 */
export function sampled(reasons) {
  const some = Object.entries(reasons).filter(([, fps]) => fps >= 0.05);
  return some.length ? `Left out: ${some.map(([why, fps]) => `${why} ${rate(fps)}`).join(", ")}. ` : "";
}

/**
 * Since when things were dropped, and why.
 * @param {Object<string, number>} reasons
 */
export function dropped(reasons) {
  const some = Object.entries(reasons).filter(([, count]) => count > 0);
  if (!some.length) return "Nothing dropped since the start.";
  return `Dropped since the start: ${some.map(([why, count]) => `${why} ${count}`).join(", ")}.`;
}

function duration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}
