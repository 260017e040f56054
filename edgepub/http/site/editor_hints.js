/** What to do next, in a line. */

/** As in editor.css: the form with its mistakes is far below the picture. */
export const FAR = "(max-width: 59.99rem)";


/** Return the line for what is on the desk. */
export function hint(desk, camera, mistakes) {
  const isTouch = matchMedia("(pointer: coarse)").matches;
  const click = isTouch ? "Tap" : "Click";
  if (desk.draft) return drawing(desk, click, isTouch);
  const wrong = (matchMedia(FAR).matches && mistakes.get(desk.selected)) || [];
  if (wrong.length) return wrong.join("; ");
  if (desk.item) return editing(desk, isTouch);
  const { items } = desk.plan;
  if (items.length) return `${click} a zone or a line in the picture to change it.`;
  return `Nothing yet: begin with New zone${camera.tracking === false ? "" : " or New line"}.`;
}

function drawing({ draft, canClose }, click, isTouch) {
  const count = draft.points.length;
  if (draft.kind === "line") {
    if (count) return `${click} where the line ends.`;
    return `${click} where the line begins, or drag it from there to its end. ${isTouch ? "" : "Esc cancels."}`.trim();
  }
  if (!count) return `${click} the corners of the zone, one after the other, or drag a rectangle.`;
  if (!canClose) return `${click} the next corner. ${isTouch ? "Take back" : "Backspace"} takes the last one back.`;
  if (isTouch) return "Tap the next corner; the first one again, or Close zone, closes it.";
  return "Click the next corner; click the first one or press Enter to close.";
}

function editing({ item, corner }, isTouch) {
  const which = item.kind === "zone" ? `Corner ${corner + 1}` : ["Start", "End"][corner];
  const at = corner === null ? "" : `${which} at ${item.points[corner].join(", ")}. `;
  if (item.kind === "line") return `${at}Drag an end or the whole line. What crosses goes to its left or right.`;
  const remove = isTouch ? "hold a corner to delete it" : "double-click a corner to delete it";
  return `${at}Drag a corner, a side's middle or the whole; ${remove}.`;
}
