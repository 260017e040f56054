/** A message for the user that disappears after some seconds. */

const SHOWN_MS = 6000;
const ERROR_SHOWN_MS = 15000;

export class Message {
  #element;
  #timer = 0;

  constructor(element) {
    this.#element = element;
  }

  /**
   * Show a message, which replaces the last one.
   * @param {string} text empty: none.
   * @param {boolean} [isError]
   */
  show(text, isError = false) {
    clearTimeout(this.#timer);
    this.#element.textContent = text;
    this.#element.classList.toggle("error", isError);
    if (text) this.#timer = setTimeout(() => this.show(""), isError ? ERROR_SHOWN_MS : SHOWN_MS);
  }
}
