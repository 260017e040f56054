/** A link that carries the token behind its `#`, which browsers send to nobody. */

/**
 * Take the token out of the address, so that it stays neither there nor in the history.
 * @returns {?string}
 */
export function takeToken() {
  const found = /^#token=(.+)$/.exec(location.hash);
  if (!found) return null;
  history.replaceState(null, "", location.pathname + location.search);
  try {
    return decodeURIComponent(found[1]);
  } catch {
    return found[1];
  }
}
