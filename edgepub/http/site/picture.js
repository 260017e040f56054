/** The picture: a JPEG drawn at its own size, in an element with its aspect ratio. */

import { loadAspectRatio, storeAspectRatio } from "./preferences.js";

/**
 * @param {HTMLElement} stage gets the picture's aspect ratio; before the first picture, that of the last visit.
 * @param {HTMLCanvasElement} canvas
 * @param {string} camera
 */
export class Picture {
  #stage;
  #canvas;
  #context;
  #camera;

  constructor(stage, canvas, camera) {
    this.#stage = stage;
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { alpha: false });
    this.#camera = camera;
    this.#setAspectRatio(loadAspectRatio(camera));
  }

  /**
   * Draw a picture. Skip it if it cannot be decoded.
   * @param {Blob} jpeg
   */
  async show(jpeg) {
    let bitmap;
    try {
      bitmap = await createImageBitmap(jpeg);
    } catch {
      return;
    }
    const { width, height } = bitmap;
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      this.#canvas.width = width;
      this.#canvas.height = height;
      this.#setAspectRatio(width / height);
      storeAspectRatio(this.#camera, width, height);
    }
    this.#context.drawImage(bitmap, 0, 0);
    bitmap.close();
  }

  /** Show no picture, but the aspect ratio of a frame of this size. */
  hide(width, height) {
    this.#canvas.width = width;
    this.#canvas.height = height;
    this.#setAspectRatio(width / height);
    storeAspectRatio(this.#camera, width, height);
  }

  #setAspectRatio(ratio) {
    this.#stage.style.setProperty("--aspect-ratio", ratio);
  }
}
