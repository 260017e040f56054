/** The tables: objects in the newest picture, and the last events. */

import { colourOf } from "./colours.js";
import { fitChildren, html, setAttributes, setText } from "./elements.js";
import { describeEvent, textsOf } from "./formatting.js";

const MAX_EVENTS = 50;

/**
 * Show the objects of the newest frame.
 * @param {HTMLTableSectionElement} body
 * @param {object[]} detections
 */
export function showDetections(body, detections) {
  const rows = fitChildren(body, detections.length, () => makeRow(4));
  detections.forEach((detection, index) => {
    const [label, score, track, zones] = rows[index].cells;
    showLabel(label, [detection.label, ...textsOf(detection)].join(" "), detection.label);
    setText(score, detection.score.toFixed(2));
    setText(track, String(detection.track_id ?? "–"));
    setText(zones, detection.zones?.join(", ") || "–");
  });
}

/**
 * Add events, oldest first. The table shows the newest first.
 * @param {HTMLTableSectionElement} body
 * @param {object[]} events
 * @param {boolean} replace whether they replace those that are shown.
 */
export function showEvents(body, events, replace) {
  if (replace) body.replaceChildren();
  for (const event of events.slice(-MAX_EVENTS)) {
    const row = makeRow(4);
    const [when, what, label, track] = row.cells;
    when.append(makeTime(event.timestamp));
    setText(what, describeEvent(event));
    showLabel(label, event.label);
    setText(track, String(event.track_id));
    if (!replace) row.className = "new";
    body.prepend(row);
  }
  while (body.rows.length > MAX_EVENTS) body.lastElementChild.remove();
}

function makeRow(cells) {
  const row = html("tr");
  for (let index = 0; index < cells; index++) row.append(html("td"));
  return row;
}

function showLabel(cell, shown, label = shown) {
  if (!cell.firstChild) cell.append(html("span", { class: "swatch" }), html("span"));
  const [swatch, text] = cell.children;
  if (text.textContent === shown) return;
  swatch.style.backgroundColor = colourOf(label).fill;
  setText(text, shown);
}

function makeTime(timestamp) {
  const date = new Date(timestamp * 1000);
  const time = html("time", {}, date.toLocaleTimeString([], { hourCycle: "h23" }));
  setAttributes(time, { datetime: date.toISOString(), title: date.toLocaleString() });
  return time;
}
