/** The hint: one line that says what to do next. */

import { KINDS, isPolygon } from "./area_kinds.js";

/** As in editor.css: on narrow screens, the form with its mistakes is far below the picture. */
export const STACKED_LAYOUT = "(max-width: 59.99rem)";

/** Return the hint for a state. */
export function hint(state, camera, mistakes) {
  const isTouch = matchMedia("(pointer: coarse)").matches;
  const click = isTouch ? "Tap" : "Click";
  if (state.draft) return drawingHint(state, click, isTouch);
  const shown = (matchMedia(STACKED_LAYOUT).matches && mistakes.get(state.selected)) || [];
  if (shown.length) return shown.join("; ");
  if (state.item) return editingHint(state, isTouch);
  const { items } = state.edited;
  if (items.length) return `${click} what is drawn in the picture to change it.`;
  return `Nothing is drawn yet. Press New zone${camera.tracking === false ? "" : ", New line"} or New ignore area.`;
}

function drawingHint({ draft, canFinish }, click, isTouch) {
  const count = draft.points.length;
  if (!isPolygon(draft.kind)) {
    if (count) return `${click} where the line ends.`;
    return `${click} where the line starts, or drag from its start to its end. ${isTouch ? "" : "Esc cancels."}`.trim();
  }
  if (!count) return `${click} the corners of the ${KINDS[draft.kind].word}, one after the other, or drag a rectangle.`;
  if (!canFinish && isTouch) return "Tap the next corner, or Remove last corner.";
  if (!canFinish) return "Click the next corner. Backspace removes the last one.";
  if (isTouch) return "Tap the next corner. To finish, tap the first one or Finish.";
  return "Click the next corner. To finish, click the first one or press Enter.";
}

function editingHint({ item, corner }, isTouch) {
  const place = isPolygon(item.kind) ? `Corner ${corner + 1}` : ["Start", "End"][corner];
  const at = corner === null ? "" : `${place} at ${item.points[corner].join(", ")}. `;
  if (!isPolygon(item.kind)) return `${at}Drag an end or the whole line. Objects cross it to the left or to the right.`;
  const remove = isTouch ? "hold a corner to delete it" : "double-click a corner to delete it";
  return `${at}Drag a corner, the middle of a side or the whole ${KINDS[item.kind].word}; ${remove}.`;
}
