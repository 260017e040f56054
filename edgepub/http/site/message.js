/** A line for the user, which goes by itself. */

const STAYS_MS = 6000;
const ERROR_STAYS_MS = 15000;

export class Message {
  #element;
  #timer = 0;

  constructor(element) {
    this.#element = element;
  }

  /**
   * Show a line in place of the one before.
   * @param {string} text empty: none.
   * @param {boolean} [isError]
   */
  show(text, isError = false) {
    clearTimeout(this.#timer);
    this.#element.textContent = text;
    this.#element.classList.toggle("error", isError);
    if (text) this.#timer = setTimeout(() => this.show(""), isError ? ERROR_STAYS_MS : STAYS_MS);
  }
}
