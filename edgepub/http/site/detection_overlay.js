/** The detections, drawn over the picture: masks, boxes, landmarks and tracks, with the labels on top. */

import { colourOf } from "./colours.js";
import { fitChildren, setAttributes, svg } from "./elements.js";
import { textsOf } from "./formatting.js";
import { LABEL_HEIGHT, placeLabels } from "./label_layout.js";
import { TrackPaths } from "./track_paths.js";

const BASELINE = 14.5;

/**
 * Draws into all groups of the overlay except that of zones, lines and ignore areas.
 * @param {SVGSVGElement} root
 */
export class DetectionOverlay {
  #root;
  #groups = {};
  #paths = new TrackPaths();
  #frame = null;
  #width = 0;
  #height = 0;
  #font = "";

  constructor(root) {
    this.#root = root;
    for (const name of ["tracks", "shapes", "halos", "boxes", "links", "points", "labels"]) {
      this.#groups[name] = root.querySelector(`#${name}`);
    }
  }

  /**
   * Set the size in CSS pixels. Line widths and font sizes do not change with it.
   * @param {number} width
   * @param {number} height
   */
  resize(width, height) {
    this.#width = width;
    this.#height = height;
    setAttributes(this.#root, { viewBox: `0 0 ${width} ${height}` });
    const style = getComputedStyle(this.#groups.labels);
    this.#font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    if (this.#frame) this.#draw();
  }

  /**
   * Draw the detections of a frame.
   * @param {{timestamp: number, width: number, height: number, detections: object[]}} frame
   */
  show(frame) {
    this.#frame = frame;
    this.#paths.add(frame);
    this.#draw();
  }

  #draw() {
    const { detections, width: frameWidth, height: frameHeight } = this.#frame;
    const boxes = detections.map((detection) => {
      const [x1, y1, x2, y2] = detection.bbox_norm;
      return {
        x: x1 * this.#width,
        y: y1 * this.#height,
        width: (x2 - x1) * this.#width,
        height: (y2 - y1) * this.#height,
        text: labelText(detection),
      };
    });
    this.#drawBoxes(detections, boxes);
    this.#drawLabels(detections, boxes);
    const place = ([x, y]) => [(x * this.#width) / frameWidth, (y * this.#height) / frameHeight];
    this.#drawShapes(detections, place);
    this.#drawLinks(detections, place);
    this.#drawPoints(detections, place);
    this.#drawPaths();
  }

  #drawBoxes(detections, boxes) {
    const halos = fitChildren(this.#groups.halos, boxes.length, () => svg("rect", { class: "halo", rx: 2 }));
    const rects = fitChildren(this.#groups.boxes, boxes.length, () => svg("rect", { class: "box", rx: 2 }));
    boxes.forEach(({ x, y, width, height }, index) => {
      const { label, track_id: track, bbox_norm: norm, corners } = detections[index];
      const { fill, ink } = corners ? { fill: "none", ink: "none" } : colourOf(label); // its own outline is drawn
      setAttributes(halos[index], { x, y, width, height, stroke: ink });
      setAttributes(rects[index], {
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
    const groups = fitChildren(this.#groups.labels, boxes.length, () => {
      const group = svg("g", { class: "label" });
      group.append(svg("rect", { height: LABEL_HEIGHT, rx: 3 }), svg("text"));
      return group;
    });
    placeLabels(boxes, this.#width, this.#height, this.#font).forEach((place, index) => {
      const [plate, text] = groups[index].children;
      const { fill, ink } = colourOf(detections[index].label);
      setAttributes(plate, { x: place.x, y: place.y, width: place.width, fill, stroke: ink });
      setAttributes(text, { x: place.textX, y: place.y + BASELINE, fill: ink });
      text.textContent = place.text;
    });
  }

  #drawShapes(detections, place) {
    const shapes = detections.flatMap(({ label, mask, corners }) => [
      ...(mask ? [{ class: "mask", outline: mask, label }] : []),
      ...(corners ? [{ class: "rotated", outline: corners, label }] : []),
    ]);
    const polygons = fitChildren(this.#groups.shapes, shapes.length, () => svg("polygon"));
    shapes.forEach(({ class: name, outline, label }, index) => {
      const { fill } = colourOf(label);
      const points = outline.map((point) => place(point).join(",")).join(" ");
      setAttributes(polygons[index], { class: name, points, fill, stroke: fill });
    });
  }

  #drawLinks(detections, place) {
    const links = detections.flatMap(({ label, landmarks = [] }) =>
      landmarks.flatMap(({ landmark, connect = [] }, index) =>
        connect
          .filter((other) => other > index || !landmarks[other].connect?.includes(index)) // each one once
          .map((other) => ({ label, ends: [place(landmark), place(landmarks[other].landmark)] })),
      ),
    );
    const lines = fitChildren(this.#groups.links, links.length, () => svg("line"));
    links.forEach(({ label, ends: [[x1, y1], [x2, y2]] }, index) =>
      setAttributes(lines[index], { x1, y1, x2, y2, stroke: colourOf(label).fill }),
    );
  }

  #drawPoints(detections, place) {
    const points = detections.flatMap(({ label, landmarks = [] }) => {
      const { fill, ink } = colourOf(label);
      return landmarks.map(({ landmark }) => {
        const [cx, cy] = place(landmark);
        return { cx, cy, fill, stroke: ink };
      });
    });
    const circles = fitChildren(this.#groups.points, points.length, () => svg("circle", { r: 3 }));
    points.forEach((point, index) => setAttributes(circles[index], point));
  }

  #drawPaths() {
    const paths = this.#paths.all;
    const groups = fitChildren(this.#groups.tracks, paths.length, () => {
      const group = svg("g");
      group.append(svg("polyline", { class: "halo" }), svg("polyline"), svg("circle", { r: 4 }));
      return group;
    });
    paths.forEach(({ label, points }, index) => {
      const [halo, line, end] = groups[index].children;
      const at = points.map(({ x, y }) => `${x * this.#width},${y * this.#height}`).join(" ");
      const last = points[points.length - 1];
      const { fill, ink } = colourOf(label);
      setAttributes(halo, { points: at, stroke: ink });
      setAttributes(line, { points: at, stroke: fill });
      setAttributes(end, { cx: last.x * this.#width, cy: last.y * this.#height, fill, stroke: ink });
    });
  }
}

function labelText(detection) {
  const { label, score, track_id: track, share } = detection;
  const value = share === undefined ? score.toFixed(2) : `${Math.round(100 * share)}%`;
  return [label, ...textsOf(detection), value, ...(track === undefined ? [] : [`#${track}`])].join(" ");
}
