/** Requests that save or revert the areas of a camera. */

/**
 * @typedef {{areas?: Object, mistakes?: {place: (string|number)[], why: string}[], error?: string}} Result
 * The server's areas now, or the mistakes in those that were sent, or why the request failed.
 */

/** Save areas, which replace those of the configuration. @returns {Promise<Result>} */
export function saveAreas(camera, areas) {
  const body = JSON.stringify(areas);
  return request(camera, { method: "PUT", headers: { "Content-Type": "application/json" }, body });
}

/** Restore the areas of the configuration. @returns {Promise<Result>} */
export function revertAreas(camera) {
  return request(camera, { method: "DELETE", headers: { "Content-Type": "application/json" } });
}

async function request(camera, options) {
  let response, text;
  try {
    response = await fetch(`/cameras/${encodeURIComponent(camera)}/areas`, options);
    text = await response.text();
  } catch {
    return { error: "Failed: edgepub does not respond. Your changes are still here." };
  }
  const json = parseJson(text);
  if (response.ok && json) return { areas: json };
  if (response.status === 401) return { error: "Failed: log in again in another tab, then retry here." };
  if (json?.mistakes) return { mistakes: json.mistakes };
  return { error: `Failed: ${json ? response.statusText : text.trim().slice(0, 300) || response.statusText}` };
}

function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
