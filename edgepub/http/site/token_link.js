/** A link that carries the token after its `#`: browsers do not send that part to any server. */

/**
 * Remove the token from the address, so that it stays neither there nor in the browser's history. Return it.
 * @returns {?string}
 */
export function takeToken() {
  const match = /^#token=(.+)$/.exec(location.hash);
  if (!match) return null;
  history.replaceState(null, "", location.pathname + location.search);
  try {
    return decodeURIComponent(match[1]);
  } catch {
    return match[1];
  }
}
