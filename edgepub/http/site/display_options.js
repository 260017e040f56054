/** How the picture is shown: the user's choices, stored in the browser. */

import { loadPreference, storePreference } from "./preferences.js";

/** The number of pictures per second that the user wants. */
export class RateSelect {
  #select;

  constructor(select) {
    this.#select = select;
    const stored = String(loadPreference("rate", ""));
    if (Array.from(select.options).some(({ value }) => value === stored)) select.value = stored;
    select.addEventListener("change", () => storePreference("rate", select.value));
  }

  get value() {
    return Number(this.#select.value);
  }
}

/**
 * Switches for the layers above the picture.
 * @param {Element} root gets a class such as `no-boxes` for each layer that is off.
 * @param {Iterable<HTMLInputElement>} inputs one for each layer, which their `data-layer` names.
 */
export class LayerSwitches {
  #root;
  #inputs = {};

  constructor(root, inputs) {
    this.#root = root;
    for (const input of inputs) {
      this.#inputs[input.dataset.layer] = input;
      input.checked = loadPreference(`shows.${input.dataset.layer}`, true) !== false;
      input.addEventListener("change", () => this.#apply(input));
      this.#apply(input);
    }
  }

  /**
   * Turn a layer on.
   * @param {string} layer
   */
  turnOn(layer) {
    this.#inputs[layer].checked = true;
    this.#apply(this.#inputs[layer]);
  }

  /**
   * Enable the switch of a layer, or disable it if there is nothing to show.
   * @param {string} layer
   * @param {boolean} isEnabled
   */
  setEnabled(layer, isEnabled) {
    this.#inputs[layer].disabled = !isEnabled;
  }

  #apply(input) {
    this.#root.classList.toggle(`no-${input.dataset.layer}`, !input.checked);
    storePreference(`shows.${input.dataset.layer}`, input.checked);
  }
}
