/** The card of one camera: its name, its status, and a still picture that is refreshed while it is visible. */

import { html, setText, showStatus } from "./elements.js";
import { formatRate, statusMessage } from "./formatting.js";
import { storeAspectRatio } from "./preferences.js";

const REFRESH_MS = 10000;

/**
 * @param {Element} list the card is added to it.
 * @param {string} name of the camera.
 */
export class CameraCard {
  #root = html("li", { class: "camera-card" });
  #status = html("span", { class: "status" });
  #fault = html("p", { class: "fault" });
  #figures = {};
  #still = html("span");
  #name;
  #isVisible = false;
  #hasPictures = false; // online, and they may leave the node
  #timer = 0;
  #observer;

  constructor(list, name) {
    this.#name = name;
    const link = html("a", { class: "name" }, name);
    link.href = `/cameras/${encodeURIComponent(name)}`;
    const frame = html("div", { class: "still" });
    frame.append(this.#still, this.#fault);
    const head = html("div", { class: "head" });
    const heading = html("h2");
    heading.append(link);
    head.append(heading, this.#status);
    const figures = html("dl", { class: "figures" });
    for (const rate of ["in", "inferred", "published"]) {
      const figure = html("div");
      this.#figures[rate] = html("dd");
      figure.append(html("dt", {}, rate), this.#figures[rate]);
      figures.append(figure);
    }
    this.#root.append(frame, head, figures);
    list.append(this.#root);
    this.#observer = new IntersectionObserver(([{ isIntersecting }]) => {
      this.#isVisible = isIntersecting;
      this.#refresh();
    });
    this.#observer.observe(this.#root);
    document.addEventListener("visibilitychange", this.#refresh);
  }

  /**
   * Show the camera's status and rates.
   * @param {{status: string, fault: ?string, has_pictures: boolean, fps_in: number, fps_inferred: number, fps_published: number}} camera
   */
  show(camera) {
    showStatus(this.#status, camera.status);
    const why = camera.has_pictures ? "" : "Pictures are off.";
    setText(this.#fault, statusMessage(camera.status, camera.fault) || why);
    for (const [rate, element] of Object.entries(this.#figures)) setText(element, formatRate(camera[`fps_${rate}`]));
    this.#root.classList.toggle("not-online", camera.status !== "online");
    this.#root.classList.toggle("no-pictures", !camera.has_pictures);
    const hadPictures = this.#hasPictures;
    this.#hasPictures = camera.status === "online" && camera.has_pictures;
    if (!camera.has_pictures) this.#replaceStill(html("span"));
    if (this.#hasPictures && !hadPictures) this.#refresh();
  }

  /** Show that the camera's status is unknown. */
  showUnknown() {
    showStatus(this.#status, "unknown");
  }

  /** Remove the card. */
  remove() {
    clearTimeout(this.#timer);
    this.#observer.disconnect();
    document.removeEventListener("visibilitychange", this.#refresh);
    this.#root.remove();
  }

  #replaceStill(next) {
    this.#still.replaceWith(next);
    this.#still = next;
  }

  #refresh = () => {
    clearTimeout(this.#timer);
    if (!this.#hasPictures || !this.#isVisible || document.hidden) return;
    const next = html("img");
    next.alt = `Still of ${this.#name}`;
    next.addEventListener("load", () => {
      if (!this.#hasPictures) return; // they have been switched off meanwhile
      this.#replaceStill(next); // only when loaded, so that there is no gap between the two
      storeAspectRatio(this.#name, next.naturalWidth, next.naturalHeight);
    });
    next.src = `/cameras/${encodeURIComponent(this.#name)}/still?at=${Date.now()}`;
    this.#timer = setTimeout(this.#refresh, REFRESH_MS);
  };
}
