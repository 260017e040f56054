/** The settings that can be set while the daemon runs, through the same door as the commands of MQTT. */

import { say } from "./elements.js";

const SETTLES_MS = 150;
const ECHO_MS = 500; // an answer that is under way may still have the old value
const NO_LIMIT = 61; // the slider's place behind its highest rate

const KINDS = {
  enabled: {
    read: (input) => (input.checked ? "ON" : "OFF"),
    show: (input, value) => (input.checked = value),
    words: () => "",
  },
  min_score: {
    read: (input) => input.value,
    show: (input, value) => (input.value = value),
    words: (value) => Number(value).toFixed(2),
  },
  max_fps: {
    read: (input) => (Number(input.value) >= NO_LIMIT ? "None" : input.value),
    show: (input, value) => (input.value = value ?? NO_LIMIT),
    words: (value) => (value === null || value === "None" ? "no limit" : String(value)),
  },
};

/**
 * A form whose inputs are named as the settings. It follows the server, except for what the user is moving.
 *
 * @param {HTMLFormElement} form its inputs' values are said in elements of the inputs' ids and `-value`.
 * @param {string} camera
 * @param {(text: string, isError: boolean) => void} tell the user.
 */
export class Settings {
  #controls;
  #fields;

  constructor(form, camera, tell) {
    this.#fields = form.querySelector("fieldset");
    this.#controls = Object.entries(KINDS).map(
      ([name, kind]) =>
        new Control(form.elements[name], kind, async (text) => {
          const answer = await put(camera, name, text, tell);
          if (answer) this.follow(answer);
        }),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      for (const control of this.#controls) control.want("");
    });
  }

  /**
   * Show what the server has.
   * @param {{enabled: boolean, min_score: number, max_fps: ?number}} settings
   */
  follow(settings) {
    this.#fields.disabled = false;
    for (const control of this.#controls) control.follow(settings[control.name]);
  }
}

/** One input: what it is moved to is sent when it rests, one after the other, and only the newest. */
class Control {
  #input;
  #kind;
  #words;
  #send;
  #wanted = null;
  #timer = 0;
  #sending = false;
  #pressed = false;
  #quietUntil = 0;

  constructor(input, kind, send) {
    this.#input = input;
    this.#kind = kind;
    this.#words = document.getElementById(`${input.id}-value`);
    this.#send = send;
    input.addEventListener("input", () => {
      this.#say(kind.read(input));
      this.want(kind.read(input), SETTLES_MS);
    });
    input.addEventListener("pointerdown", () => (this.#pressed = true));
    for (const end of ["pointerup", "pointercancel"]) window.addEventListener(end, () => (this.#pressed = false));
  }

  get name() {
    return this.#input.name;
  }

  want(text, afterMs = 0) {
    this.#wanted = text;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#flush(), afterMs);
  }

  follow(value) {
    if (this.#pressed || this.#sending || this.#wanted !== null || performance.now() < this.#quietUntil) return;
    this.#kind.show(this.#input, value);
    this.#say(value);
  }

  async #flush() {
    if (this.#sending) return;
    this.#sending = true;
    while (this.#wanted !== null) {
      const text = this.#wanted;
      this.#wanted = null;
      await this.#send(text);
      this.#quietUntil = text === "" ? 0 : performance.now() + ECHO_MS;
    }
    this.#sending = false;
  }

  #say(value) {
    const words = this.#kind.words(value);
    if (!words) return;
    say(this.#words, words);
    this.#input.setAttribute("aria-valuetext", words);
  }
}

/** Ask for a setting; empty is the configuration's. Returns what is in force now, or null where it was refused. */
async function put(camera, name, text, tell) {
  try {
    const response = await fetch(`/cameras/${camera}/settings/${name}`, {
      method: "PUT",
      headers: { "Content-Type": "text/plain" },
      body: text,
    });
    if (response.ok) return await response.json();
    tell((await response.text()).trim() || `${name}: refused (${response.status})`, true);
  } catch {
    tell(`${name} was not changed: the daemon does not answer.`, true);
  }
  return null;
}
