/** Places the labels of boxes: at their boxes, inside the picture, and not over each other if possible. */

export const LABEL_HEIGHT = 20;
const PADDING = 5;
const measuring = document.createElement("canvas").getContext("2d");

/**
 * Choose the places of labels.
 * @param {{x: number, y: number, width: number, height: number, text: string}[]} boxes in CSS pixels.
 * @param {number} width of the picture.
 * @param {number} height of the picture.
 * @param {string} font of the labels.
 * @returns {{x: number, y: number, width: number, text: string, textX: number}[]} one for each box.
 */
export function placeLabels(boxes, width, height, font) {
  measuring.font = font;
  const taken = [];
  for (const { text, ...box } of boxes) {
    const labelWidth = Math.ceil(measuring.measureText(text).width) + 2 * PADDING;
    const x = Math.max(0, Math.min(box.x - 1, width - labelWidth));
    const bottom = box.y + box.height;
    const candidates = [box.y - LABEL_HEIGHT - 1, box.y + 1, bottom + 1, bottom - LABEL_HEIGHT - 1]
      .filter((y) => y >= 0 && y + LABEL_HEIGHT <= height)
      .map((y) => ({ x, y, width: labelWidth, text, textX: x + PADDING }));
    const fallback = { x, y: Math.max(0, box.y), width: labelWidth, text, textX: x + PADDING };
    const isFree = (place) => !taken.some((other) => overlap(place, other));
    taken.push(candidates.find(isFree) ?? candidates[0] ?? fallback);
  }
  return taken;
}

function overlap(one, other) {
  return (
    one.x < other.x + other.width &&
    other.x < one.x + one.width &&
    one.y < other.y + LABEL_HEIGHT &&
    other.y < one.y + LABEL_HEIGHT
  );
}
