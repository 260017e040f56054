/** To the server and back: the areas that the page keeps for a camera. */

/**
 * @typedef {{areas?: Object, mistakes?: {place: (string|number)[], why: string}[], error?: string}} Answer
 * What the server has now, or what is wrong with what it was given, or why it did not take it.
 */

/** Save areas in the place of the configuration's. @returns {Promise<Answer>} */
export function save(camera, areas) {
  const body = JSON.stringify(areas);
  return ask(camera, { method: "PUT", headers: { "Content-Type": "application/json" }, body });
}

/** Go back to the configuration's own. @returns {Promise<Answer>} */
export function revert(camera) {
  return ask(camera, { method: "DELETE", headers: { "Content-Type": "application/json" } });
}

async function ask(camera, request) {
  let response, text;
  try {
    response = await fetch(`/cameras/${encodeURIComponent(camera)}/areas`, request);
    text = await response.text();
  } catch {
    return { error: "Not done: edgepub cannot be reached. What you changed is still here." };
  }
  const said = parsed(text);
  if (response.ok && said) return { areas: said };
  if (response.status === 401) return { error: "Not done: log in anew in another tab, then try again here." };
  if (said?.mistakes) return { mistakes: said.mistakes };
  return { error: `Not done: ${said ? response.statusText : text.trim().slice(0, 300) || response.statusText}` };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
