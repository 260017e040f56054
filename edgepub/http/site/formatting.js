/** Rates, latencies and events as text. */

/**
 * Return a rate with one decimal; a dash if there is none.
 * @param {?number} fps
 */
export function formatRate(fps) {
  return Number.isFinite(fps) ? fps.toFixed(1) : "–";
}

/**
 * Return milliseconds, with a decimal if they are below 10.
 * @param {?number} value
 */
export function formatMs(value) {
  if (!Number.isFinite(value)) return "–";
  if (value >= 1000) return `${(value / 1000).toFixed(1)} s`;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

/**
 * Return what happened in an event.
 * @param {{event_type: string, zone?: string, line?: string, direction?: string, dwell_s?: number}} event
 */
export function describeEvent(event) {
  const after = Number.isFinite(event.dwell_s) ? ` after ${formatDuration(event.dwell_s)}` : "";
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
    case "recognized":
      return `${event.attribute}: ${event.value}`;
    case "loitering":
      return `loiters in ${event.zone} for ${formatDuration(event.dwell_s)}`;
    default:
      return event.event_type;
  }
}

/**
 * Return why a camera shows no new pictures; empty while it does.
 * @param {string} status
 * @param {?string} fault
 */
export function statusMessage(status, fault) {
  if (status === "online") return "";
  if (status === "disabled") return "Disabled in the settings.";
  return fault ? `Offline: ${fault}` : "Offline: the file has ended.";
}

/**
 * Return what was sampled (left out on purpose), per second and by reason; empty if nothing was.
 * @param {Object<string, number>} reasons
 */
export function formatSampled(reasons) {
  const rates = Object.entries(reasons).filter(([, fps]) => fps >= 0.05);
  if (!rates.length) return "";
  return `Sampled out: ${rates.map(([reason, fps]) => `${reason} ${formatRate(fps)}`).join(", ")}. `;
}

/**
 * Return what was dropped since the start, by reason.
 * @param {Object<string, number>} reasons
 */
export function formatDropped(reasons) {
  const counts = Object.entries(reasons).filter(([, count]) => count > 0);
  if (!counts.length) return "Nothing dropped since the start.";
  return `Dropped since the start: ${counts.map(([reason, count]) => `${reason} ${count}`).join(", ")}.`;
}

/**
 * Return which resources are the limit, as sentences; empty while the node keeps up.
 * @param {string[]} limits
 */
export function formatLimits(limits) {
  const sentences = limits.map((text) => `${text[0].toUpperCase()}${text.slice(1)}.`);
  return sentences.join(" ").replaceAll("`", ""); // which mark names of settings in the log
}

/**
 * Return how many entities the node has in Home Assistant.
 * @param {{total: number, enabled: number}} entities enabled: by default.
 */
export function formatEntities({ total, enabled }) {
  return `${total} entities in Home Assistant, ${enabled} of them enabled`;
}

function formatDuration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

/**
 * Return what a model says of an object beyond its label: attributes, a text, which hand it is.
 * @param {object} detection
 * @returns {string[]}
 */
export function textsOf({ attributes = {}, text, handedness }) {
  const hand = handedness === undefined ? [] : [handedness > 0.5 ? "right" : "left"];
  const known = Object.entries(attributes).map(
    ([name, { label, value }]) => label ?? `${name} ${Number(value.toPrecision(4))}`,
  );
  return [...known, ...(text === undefined ? [] : [text]), ...hand];
}
