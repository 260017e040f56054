/** What the model sees, drawn over the picture: boxes, points, trails, and labels above all of them. */

import { colourOf } from "./colours.js";
import { children, set, svg } from "./elements.js";
import { HEIGHT, places } from "./labels.js";
import { Trails } from "./trails.js";

const BASELINE = 14.5;

/**
 * Draws into the groups of the overlay, all but that of zones and lines.
 * @param {SVGSVGElement} root
 */
export class Overlay {
  #root;
  #groups = {};
  #trails = new Trails();
  #frame = null;
  #width = 0;
  #height = 0;
  #font = "";

  constructor(root) {
    this.#root = root;
    for (const name of ["trails", "halos", "boxes", "points", "labels"]) {
      this.#groups[name] = root.querySelector(`#${name}`);
    }
  }

  /**
   * Take another size, in CSS pixels: lines and letters keep theirs.
   * @param {number} width
   * @param {number} height
   */
  resize(width, height) {
    this.#width = width;
    this.#height = height;
    set(this.#root, { viewBox: `0 0 ${width} ${height}` });
    const style = getComputedStyle(this.#groups.labels);
    this.#font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    if (this.#frame) this.#draw();
  }

  /**
   * Draw what was seen in a frame.
   * @param {{timestamp: number, width: number, height: number, detections: object[]}} frame
   */
  show(frame) {
    this.#frame = frame;
    this.#trails.add(frame);
    this.#draw();
  }

  #draw() {
    const { detections, width: frameWidth, height: frameHeight } = this.#frame;
    const boxes = detections.map((each) => {
      const [x1, y1, x2, y2] = each.bbox_norm;
      return {
        x: x1 * this.#width,
        y: y1 * this.#height,
        width: (x2 - x1) * this.#width,
        height: (y2 - y1) * this.#height,
        text: words(each),
      };
    });
    this.#drawBoxes(detections, boxes);
    this.#drawLabels(detections, boxes);
    this.#drawPoints(detections, this.#width / frameWidth, this.#height / frameHeight);
    this.#drawTrails();
  }

  #drawBoxes(detections, boxes) {
    const halos = children(this.#groups.halos, boxes.length, () => svg("rect", { class: "halo", rx: 2 }));
    const rects = children(this.#groups.boxes, boxes.length, () => svg("rect", { class: "box", rx: 2 }));
    boxes.forEach(({ x, y, width, height }, index) => {
      const { label, track_id: track, bbox_norm: norm } = detections[index];
      const { fill, ink } = colourOf(label);
      set(halos[index], { x, y, width, height, stroke: ink });
      set(rects[index], {
        x,
        y,
        width,
        height,
        stroke: fill,
        "data-label": label,
        "data-track": track ?? null,
        "data-x1": norm[0],
        "data-y1": norm[1],
        "data-x2": norm[2],
        "data-y2": norm[3],
      });
    });
  }

  #drawLabels(detections, boxes) {
    const groups = children(this.#groups.labels, boxes.length, () => {
      const group = svg("g", { class: "label" });
      group.append(svg("rect", { height: HEIGHT, rx: 3 }), svg("text"));
      return group;
    });
    places(boxes, this.#width, this.#height, this.#font).forEach((place, index) => {
      const [plate, text] = groups[index].children;
      const { fill, ink } = colourOf(detections[index].label);
      set(plate, { x: place.x, y: place.y, width: place.width, fill, stroke: ink });
      set(text, { x: place.textX, y: place.y + BASELINE, fill: ink });
      text.textContent = place.text;
    });
  }

  #drawPoints(detections, scaleX, scaleY) {
    const points = detections.flatMap(({ label, landmarks = [] }) => {
      const { fill, ink } = colourOf(label);
      return landmarks.map(({ landmark: [x, y] }) => ({ cx: x * scaleX, cy: y * scaleY, fill, stroke: ink }));
    });
    const circles = children(this.#groups.points, points.length, () => svg("circle", { r: 3 }));
    points.forEach((point, index) => set(circles[index], point));
  }

  #drawTrails() {
    const trails = this.#trails.all;
    const groups = children(this.#groups.trails, trails.length, () => {
      const group = svg("g");
      group.append(svg("polyline", { class: "halo" }), svg("polyline"), svg("circle", { r: 4 }));
      return group;
    });
    trails.forEach(({ label, points }, index) => {
      const [halo, line, end] = groups[index].children;
      const at = points.map(({ x, y }) => `${x * this.#width},${y * this.#height}`).join(" ");
      const last = points[points.length - 1];
      const { fill, ink } = colourOf(label);
      set(halo, { points: at, stroke: ink });
      set(line, { points: at, stroke: fill });
      set(end, { cx: last.x * this.#width, cy: last.y * this.#height, fill, stroke: ink });
    });
  }
}

function words({ label, score, track_id: track }) {
  return `${label} ${score.toFixed(2)}${track === undefined ? "" : ` #${track}`}`;
}
