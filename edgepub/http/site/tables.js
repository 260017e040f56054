/** The tables: what is in the newest picture, and what happened of late. */

import { colourOf } from "./colours.js";
import { children, html, say, set } from "./elements.js";
import { happened } from "./words.js";

const EVENTS = 50;

/**
 * Show the objects of the newest frame.
 * @param {HTMLTableSectionElement} body
 * @param {object[]} detections
 */
export function showDetections(body, detections) {
  const rows = children(body, detections.length, () => row(4));
  detections.forEach((each, index) => {
    const [label, score, track, zones] = rows[index].cells;
    showLabel(label, each.label);
    say(score, each.score.toFixed(2));
    say(track, String(each.track_id ?? "–"));
    say(zones, each.zones?.join(", ") || "–");
  });
}

/**
 * Add events, oldest first, to those that are shown newest first.
 * @param {HTMLTableSectionElement} body
 * @param {object[]} events
 * @param {boolean} anew whether they are all that there are.
 */
export function showEvents(body, events, anew) {
  if (anew) body.replaceChildren();
  for (const each of events.slice(-EVENTS)) {
    const made = row(4);
    const [when, what, label, track] = made.cells;
    when.append(time(each.timestamp));
    say(what, happened(each));
    showLabel(label, each.label);
    say(track, String(each.track_id));
    if (!anew) made.className = "new";
    body.prepend(made);
  }
  while (body.rows.length > EVENTS) body.lastElementChild.remove();
}

function row(cells) {
  const made = html("tr");
  for (let index = 0; index < cells; index++) made.append(html("td"));
  return made;
}

function showLabel(cell, label) {
  if (!cell.firstChild) cell.append(html("span", { class: "swatch" }), html("span"));
  const [swatch, text] = cell.children;
  if (text.textContent === label) return;
  swatch.style.backgroundColor = colourOf(label).fill;
  say(text, label);
}

function time(timestamp) {
  const at = new Date(timestamp * 1000);
  const made = html("time", {}, at.toLocaleTimeString([], { hourCycle: "h23" }));
  set(made, { datetime: at.toISOString(), title: at.toLocaleString() });
  return made;
}
