/** DOM helpers: elements are made from data as text, never as HTML, and reused from one picture to the next. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Return the element with an id.
 * @param {string} id
 * @returns {Element}
 */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * Return a new HTML element.
 * @param {string} name
 * @param {Object<string, string|number|boolean|null|Function>} [attributes] functions are added as event listeners.
 * @param {...(Node|string)} children
 */
export function html(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** Return a new SVG element, with the same parameters. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

/**
 * Set the attributes that differ: setting one again would cost a layout. `false` and `null` remove an attribute.
 * @param {Element} element
 * @param {Object<string, string|number|boolean|null>} attributes
 */
export function setAttributes(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    const text = value === true ? "" : String(value);
    if (value === false || value === null) element.removeAttribute(name);
    else if (element.getAttribute(name) !== text) element.setAttribute(name, text);
  }
  return element;
}

/**
 * Set a text if it differs, so that screen readers announce it only once.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Show a status as a word. The style sheet gives it a colour.
 * @param {HTMLElement} element
 * @param {string} status
 */
export function showStatus(element, status) {
  element.dataset.status = status;
  setText(element, status);
}

/**
 * Add or remove children until there are `count`. Return them.
 * @param {Element} parent
 * @param {number} count
 * @param {() => Element} make
 * @returns {Element[]}
 */
export function fitChildren(parent, count, make) {
  while (parent.children.length > count) parent.lastElementChild.remove();
  while (parent.children.length < count) parent.append(make());
  return Array.from(parent.children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else setAttributes(element, { [name]: value });
  }
  element.append(...children);
  return element;
}
