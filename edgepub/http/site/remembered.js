/** What the page remembers of its user in this browser; where nothing can be stored it forgets. */

const PREFIX = "edgepub.";

/**
 * A value that was remembered.
 * @param {string} key
 * @param {*} otherwise
 */
export function recall(key, otherwise) {
  try {
    const text = localStorage.getItem(PREFIX + key);
    return text === null ? otherwise : JSON.parse(text);
  } catch {
    return otherwise;
  }
}

/**
 * Remember a value.
 * @param {string} key
 * @param {*} value
 */
export function remember(key, value) {
  try {
    localStorage.setItem(PREFIX + key, JSON.stringify(value));
  } catch {
    // A browser may forbid it: the choice then holds until the page is left.
  }
}

/**
 * The width of a camera's pictures by their height, as it was when one was last seen.
 * @param {string} camera
 */
export function recallShape(camera) {
  const shape = recall(`shape.${camera}`, 0);
  return shape > 0 ? shape : 16 / 9;
}

/**
 * Remember a picture's shape, so that the page has room for the next before it comes.
 * @param {string} camera
 * @param {number} width
 * @param {number} height
 */
export function rememberShape(camera, width, height) {
  remember(`shape.${camera}`, width / height);
}
