/** Where labels of boxes are written: at their boxes, within the picture, and not over each other where that can be. */

export const HEIGHT = 20;
const PADDING = 5;
const measures = document.createElement("canvas").getContext("2d");

/**
 * Choose the places of labels.
 * @param {{x: number, y: number, width: number, height: number, text: string}[]} boxes in CSS pixels.
 * @param {number} width of the picture.
 * @param {number} height of the picture.
 * @param {string} font that they are written with.
 * @returns {{x: number, y: number, width: number, text: string, textX: number}[]} one for each box.
 */
export function places(boxes, width, height, font) {
  measures.font = font;
  const taken = [];
  for (const { text, ...box } of boxes) {
    const room = Math.ceil(measures.measureText(text).width) + 2 * PADDING;
    const x = Math.max(0, Math.min(box.x - 1, width - room));
    const candidates = [box.y - HEIGHT - 1, box.y + 1, box.y + box.height + 1, box.y + box.height - HEIGHT - 1]
      .filter((y) => y >= 0 && y + HEIGHT <= height)
      .map((y) => ({ x, y, width: room, text, textX: x + PADDING }));
    const fallback = { x, y: Math.max(0, box.y), width: room, text, textX: x + PADDING };
    taken.push(candidates.find((each) => !taken.some((other) => overlap(each, other))) ?? candidates[0] ?? fallback);
  }
  return taken;
}

function overlap(one, other) {
  return (
    one.x < other.x + other.width &&
    other.x < one.x + one.width &&
    one.y < other.y + HEIGHT &&
    other.y < one.y + HEIGHT
  );
}
