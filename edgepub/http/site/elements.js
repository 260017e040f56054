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
 * @param {Object<string, string|number|boolean|null|Function>} [attributes] those that are functions listen
 * @param {...(Node|string)} children
 */
export function html(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** A new SVG element, likewise. */
export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

/**
 * Set attributes where they are others, for to set one anew costs the page its layout; `false` and `null` take one away.
 * @param {Element} element
 * @param {Object<string, string|number|boolean|null>} attributes
 */
export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    const text = value === true ? "" : String(value);
    if (value === false || value === null) element.removeAttribute(name);
    else if (element.getAttribute(name) !== text) element.setAttribute(name, text);
  }
  return element;
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

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else set(element, { [name]: value });
  }
  element.append(...children);
  return element;
}
