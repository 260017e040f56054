/** The form for the runtime settings. They work like the MQTT commands. */

import { setText } from "./elements.js";

const SEND_DELAY_MS = 150;
const IGNORE_UPDATES_MS = 500; // an update that was under way may still have the old value
const NO_LIMIT = 61; // the position of the slider after its highest rate

const SWITCH = {
  read: (input) => (input.checked ? "ON" : "OFF"),
  show: (input, value) => (input.checked = value),
  format: () => "",
};

const KINDS = {
  enabled: SWITCH,
  snapshot_enabled: SWITCH,
  min_score: {
    read: (input) => input.value,
    show: (input, value) => (input.value = value),
    format: (value) => Number(value).toFixed(2),
  },
  max_fps: {
    read: (input) => (Number(input.value) >= NO_LIMIT ? "None" : input.value),
    show: (input, value) => (input.value = value ?? NO_LIMIT),
    format: (value) => (value === null || value === "None" ? "no limit" : String(value)),
  },
};

/**
 * The form. It shows the server's values, except in an input that the user is moving.
 *
 * @param {HTMLFormElement} form has one input per setting. The value of the input with the id `x` is also shown as text
 *   in the element with the id `x-value`.
 * @param {string} camera
 * @param {(text: string, isError: boolean) => void} showMessage
 */
export class Settings {
  #controls;
  #fields;

  constructor(form, camera, showMessage) {
    this.#fields = form.querySelector("fieldset");
    this.#controls = Object.entries(KINDS).map(
      ([name, kind]) =>
        new Control(form.elements[name], kind, async (text) => {
          const values = await putSetting(camera, name, text, showMessage);
          if (values) this.show(values);
        }),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      for (const control of this.#controls) control.send("");
    });
  }

  /**
   * Show the server's values.
   * @param {{enabled: boolean, snapshot_enabled: boolean, min_score: number, max_fps: ?number}} values
   */
  show(values) {
    this.#fields.disabled = false;
    for (const control of this.#controls) control.show(values[control.name]);
  }
}

/** One input. It sends its value once the value stops changing: one request at a time, and only the newest value. */
class Control {
  #input;
  #kind;
  #valueText;
  #put;
  #unsent = null;
  #timer = 0;
  #isSending = false;
  #isPressed = false;
  #ignoreUpdatesUntil = 0;

  constructor(input, kind, put) {
    this.#input = input;
    this.#kind = kind;
    this.#valueText = document.getElementById(`${input.id}-value`);
    this.#put = put;
    input.addEventListener("input", () => {
      this.#showText(kind.read(input));
      this.send(kind.read(input), SEND_DELAY_MS);
    });
    input.addEventListener("pointerdown", () => (this.#isPressed = true));
    for (const end of ["pointerup", "pointercancel"]) window.addEventListener(end, () => (this.#isPressed = false));
  }

  get name() {
    return this.#input.name;
  }

  /** Send a value after a delay. An empty one restores the value of the configuration. */
  send(text, delayMs = 0) {
    this.#unsent = text;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#flush(), delayMs);
  }

  /** Show the server's value, unless the user is entering a newer one. */
  show(value) {
    const isEntering = this.#isPressed || this.#isSending || this.#unsent !== null;
    if (isEntering || performance.now() < this.#ignoreUpdatesUntil) return;
    this.#kind.show(this.#input, value);
    this.#showText(value);
  }

  async #flush() {
    if (this.#isSending) return;
    this.#isSending = true;
    while (this.#unsent !== null) {
      const text = this.#unsent;
      this.#unsent = null;
      await this.#put(text);
      this.#ignoreUpdatesUntil = text === "" ? 0 : performance.now() + IGNORE_UPDATES_MS;
    }
    this.#isSending = false;
  }

  #showText(value) {
    const text = this.#kind.format(value);
    if (!text) return;
    setText(this.#valueText, text);
    this.#input.setAttribute("aria-valuetext", text);
  }
}

/** Send a setting; an empty text restores the configuration's value. Return all current values; null on failure. */
async function putSetting(camera, name, text, showMessage) {
  try {
    const response = await fetch(`/cameras/${camera}/settings/${name}`, {
      method: "PUT",
      headers: { "Content-Type": "text/plain" },
      body: text,
    });
    if (response.ok) return await response.json();
    showMessage((await response.text()).trim() || `${name}: refused (${response.status})`, true);
  } catch {
    showMessage(`${name} was not changed: edgepub does not respond.`, true);
  }
  return null;
}
