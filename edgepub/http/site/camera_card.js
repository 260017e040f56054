/** One camera among the others: its name, how it is, and a still that is renewed while it is looked at. */

import { html, say, showStatus } from "./elements.js";
import { rememberShape } from "./remembered.js";
import { absence, rate } from "./words.js";

const STILL_MS = 10000;

/**
 * @param {Element} list that it is added to.
 * @param {string} name of the camera.
 */
export class CameraCard {
  #root = html("li", { class: "camera-card" });
  #status = html("span", { class: "status" });
  #fault = html("p", { class: "fault" });
  #figures = {};
  #still = html("span");
  #name;
  #inSight = false;
  #online = false;
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
    for (const what of ["in", "inferred", "published"]) {
      const figure = html("div");
      this.#figures[what] = html("dd");
      figure.append(html("dt", {}, what), this.#figures[what]);
      figures.append(figure);
    }
    this.#root.append(frame, head, figures);
    list.append(this.#root);
    this.#observer = new IntersectionObserver(([{ isIntersecting }]) => {
      this.#inSight = isIntersecting;
      this.#renew();
    });
    this.#observer.observe(this.#root);
    document.addEventListener("visibilitychange", this.#renew);
  }

  /**
   * Show how the camera is.
   * @param {{status: string, fault: ?string, fps_in: number, fps_inferred: number, fps_published: number}} camera
   */
  show(camera) {
    showStatus(this.#status, camera.status);
    say(this.#fault, absence(camera.status, camera.fault));
    for (const [what, element] of Object.entries(this.#figures)) say(element, rate(camera[`fps_${what}`]));
    this.#root.classList.toggle("absent", camera.status !== "online");
    const came = camera.status === "online" && !this.#online;
    this.#online = camera.status === "online";
    if (came) this.#renew();
  }

  /** Say that it is not known how the camera is. */
  lose() {
    showStatus(this.#status, "unknown");
  }

  /** Take it away. */
  remove() {
    clearTimeout(this.#timer);
    this.#observer.disconnect();
    document.removeEventListener("visibilitychange", this.#renew);
    this.#root.remove();
  }

  #renew = () => {
    clearTimeout(this.#timer);
    if (!this.#online || !this.#inSight || document.hidden) return;
    const next = html("img");
    next.alt = `Still of ${this.#name}`;
    next.addEventListener("load", () => {
      this.#still.replaceWith(next); // only now, so that there is no gap between the two
      this.#still = next;
      rememberShape(this.#name, next.naturalWidth, next.naturalHeight);
    });
    next.src = `/cameras/${encodeURIComponent(this.#name)}/still?at=${Date.now()}`;
    this.#timer = setTimeout(this.#renew, STILL_MS);
  };
}
