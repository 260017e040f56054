/** The user's choices, stored in this browser. If the browser does not allow that, they last until the page closes. */

const PREFIX = "edgepub.";

/**
 * Return a stored value.
 * @param {string} key
 * @param {*} defaultValue
 */
export function loadPreference(key, defaultValue) {
  try {
    const text = localStorage.getItem(PREFIX + key);
    return text === null ? defaultValue : JSON.parse(text);
  } catch {
    return defaultValue;
  }
}

/**
 * Store a value.
 * @param {string} key
 * @param {*} value
 */
export function storePreference(key, value) {
  try {
    localStorage.setItem(PREFIX + key, JSON.stringify(value));
  } catch {
    // The browser may forbid it: then the choice lasts until the page closes.
  }
}

/**
 * Return the width of a camera's pictures divided by their height, as last seen.
 * @param {string} camera
 */
export function loadAspectRatio(camera) {
  const ratio = loadPreference(`shape.${camera}`, 0);
  return ratio > 0 ? ratio : 16 / 9;
}

/**
 * Store a picture's aspect ratio, so that the page reserves the right space before the next picture arrives.
 * @param {string} camera
 * @param {number} width
 * @param {number} height
 */
export function storeAspectRatio(camera, width, height) {
  storePreference(`shape.${camera}`, width / height);
}
