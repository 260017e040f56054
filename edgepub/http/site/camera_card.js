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
  #isOnline = false;
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
   * @param {{status: string, fault: ?string, fps_in: number, fps_inferred: number, fps_published: number}} camera
   */
  show(camera) {
    showStatus(this.#status, camera.status);
    setText(this.#fault, statusMessage(camera.status, camera.fault));
    for (const [rate, element] of Object.entries(this.#figures)) setText(element, formatRate(camera[`fps_${rate}`]));
    this.#root.classList.toggle("not-online", camera.status !== "online");
    const hasReturned = camera.status === "online" && !this.#isOnline;
    this.#isOnline = camera.status === "online";
    if (hasReturned) this.#refresh();
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

  #refresh = () => {
    clearTimeout(this.#timer);
    if (!this.#isOnline || !this.#isVisible || document.hidden) return;
    const next = html("img");
    next.alt = `Still of ${this.#name}`;
    next.addEventListener("load", () => {
      this.#still.replaceWith(next); // only when loaded, so that there is no gap between the two
      this.#still = next;
      storeAspectRatio(this.#name, next.naturalWidth, next.naturalHeight);
    });
    next.src = `/cameras/${encodeURIComponent(this.#name)}/still?at=${Date.now()}`;
    this.#timer = setTimeout(this.#refresh, REFRESH_MS);
  };
}
