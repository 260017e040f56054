/** The picture: a JPEG drawn at its own size, in a stage that has its shape. */

import { recallShape, rememberShape } from "./remembered.js";

/**
 * @param {HTMLElement} stage what is given the picture's shape; before the first picture that of the last visit.
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
    this.#shape(recallShape(camera));
  }

  /**
   * Draw a picture; one that cannot be read is left out.
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
      this.#shape(width / height);
      rememberShape(this.#camera, width, height);
    }
    this.#context.drawImage(bitmap, 0, 0);
    bitmap.close();
  }

  #shape(shape) {
    this.#stage.style.setProperty("--shape", shape);
  }
}
