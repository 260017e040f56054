/** How the picture is looked at: the choices of this user, kept in the browser. */

import { recall, remember } from "./remembered.js";

/** How many pictures a second are wanted. */
export class Rate {
  #select;

  constructor(select) {
    this.#select = select;
    const last = String(recall("rate", ""));
    if (Array.from(select.options).some(({ value }) => value === last)) select.value = last;
    select.addEventListener("change", () => remember("rate", select.value));
  }

  get wanted() {
    return Number(this.#select.value);
  }
}

/**
 * What is shown over the picture, each with its switch.
 * @param {Element} root is given the class `no-boxes` and so on for what is switched off.
 * @param {Iterable<HTMLInputElement>} inputs their `data-shows` says what they switch.
 */
export class Shows {
  #root;
  #inputs = {};

  constructor(root, inputs) {
    this.#root = root;
    for (const input of inputs) {
      this.#inputs[input.dataset.shows] = input;
      input.checked = recall(`shows.${input.dataset.shows}`, true) !== false;
      input.addEventListener("change", () => this.#apply(input));
      this.#apply(input);
    }
  }

  /**
   * Show something that may have been switched off.
   * @param {string} what
   */
  turnOn(what) {
    this.#inputs[what].checked = true;
    this.#apply(this.#inputs[what]);
  }

  /**
   * Let something be switched, or not where there is nothing to show.
   * @param {string} what
   * @param {boolean} isThere
   */
  offer(what, isThere) {
    this.#inputs[what].disabled = !isThere;
  }

  #apply(input) {
    this.#root.classList.toggle(`no-${input.dataset.shows}`, !input.checked);
    remember(`shows.${input.dataset.shows}`, input.checked);
  }
}
