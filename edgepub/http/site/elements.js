/** Elements: made from data as text, never as HTML, and used again from one picture to the next. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * The element with an id.
 * @param {string} id
 * @returns {Element}
 */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * A new HTML element.
 * @param {string} name
 * @param {string} [className]
 * @param {string} [text]
 */
export function html(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

/**
 * A new SVG element.
 * @param {string} name
 * @param {Object<string, string|number>} [attributes]
 */
export function svg(name, attributes = {}) {
  const made = document.createElementNS(SVG, name);
  set(made, attributes);
  return made;
}

/**
 * Set attributes; one that is null is taken away.
 * @param {Element} element
 * @param {Object<string, string|number|null>} attributes
 */
export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null) element.removeAttribute(name);
    else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
  }
}

/**
 * Set a text where it is another one: what is announced is announced once.
 * @param {Element} element
 * @param {string} text
 */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Show a status as a word, which its style gives a colour.
 * @param {HTMLElement} element
 * @param {string} status
 */
export function showStatus(element, status) {
  element.dataset.status = status;
  say(element, status);
}

/**
 * The children of an element, made to be so many.
 * @param {Element} parent
 * @param {number} count
 * @param {() => Element} make
 * @returns {Element[]}
 */
export function children(parent, count, make) {
  while (parent.children.length > count) parent.lastElementChild.remove();
  while (parent.children.length < count) parent.append(make());
  return Array.from(parent.children);
}
