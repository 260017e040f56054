/** Draws zones, lines and ignore areas, their handles and the draft, as SVG above the picture. */

import { KINDS, isPolygon } from "./area_kinds.js";
import { setAttributes, setText, svg } from "./elements.js";
import { directions, middle, sides } from "./geometry.js";

/** A shorter side gets no handle in its middle, which would overlap those of its corners. */
export const MIN_SIDE_PX = 44;
const CORNER_R = 7;
const MIDDLE_R = 5;
const DIRECTION_DISTANCE_PX = 18; // from a line to the words beside it
const ARROW_DISTANCE_PX = 12; // from the end of a line, so that the handle there does not hide the arrow
const HATCHING = "hatching";
const HATCHING_PX = 10;
const ARROW = "M 0 0 L -14 -7 L -14 7 Z";

export class EditorView {
  #group;
  #canvas = svg("rect", { class: "canvas", role: "application", "aria-label": "Picture to draw in" });
  #areas = svg("g", { class: "all" });
  #texts = svg("g", { class: "texts" }); // above all areas, so that none covers another one's name
  #handles = svg("g", { class: "handles" });
  #draft = svg("g", { class: "draft" });
  #shapes = new Map(); // by the item's id
  #corners = [];
  #middles = [];
  #path = svg("polyline");
  #pathHalo = svg("polyline", { class: "halo" });
  #crosshair = svg("path", { class: "crosshair" });
  #dots = svg("g");

  constructor(group) {
    this.#group = group;
    this.#draft.append(this.#pathHalo, this.#path, this.#crosshair, this.#dots);
    group.append(hatching(), this.#canvas, this.#areas, this.#texts, this.#handles, this.#draft);
  }

  /** Whether what is drawn is visible. */
  get isVisible() {
    return getComputedStyle(this.#group).display !== "none";
  }

  /** Give the keyboard focus to the picture, for drawing. */
  focusCanvas() {
    this.#canvas.focus({ preventScroll: true });
  }

  /** Give the keyboard focus to a corner of the selected item. */
  focusCorner(index) {
    this.#corners[index]?.focus({ preventScroll: true });
  }

  /** Give the keyboard focus to a whole area. */
  focusItem(id) {
    this.#shapes.get(id)?.focused.focus({ preventScroll: true });
  }

  /** Show the state. Existing elements are updated, not replaced, because one of them may have the focus. */
  render(state, mistakes) {
    const [width, height] = state.size;
    const whileDrawing = state.draft ? { tabindex: 0, display: null } : { tabindex: null, display: "none" };
    setAttributes(this.#canvas, { width, height, ...whileDrawing });
    this.#renderItems(state, mistakes);
    this.#renderHandles(state);
    this.#renderDraft(state);
  }

  #renderItems(state, mistakes) {
    for (const [id, { group, texts }] of this.#shapes) {
      if (state.edited.item(id)) continue;
      group.remove();
      texts.remove();
      this.#shapes.delete(id);
    }
    for (const item of state.edited.items) {
      if (!this.#shapes.has(item.id)) {
        this.#shapes.set(item.id, isPolygon(item.kind) ? new PolygonShape(item) : new LineShape(item));
        this.#areas.append(this.#shapes.get(item.id).group);
        this.#texts.append(this.#shapes.get(item.id).texts);
      }
      const shape = this.#shapes.get(item.id);
      for (const { classList } of [shape.group, shape.texts]) {
        classList.toggle("selected", item.id === state.selected);
        classList.toggle("invalid", mistakes.get(item.id).length > 0);
      }
      const label = `${KINDS[item.kind].word} ${item.name}`;
      setAttributes(shape.focused, { "data-name": item.name, "data-id": item.id, "aria-label": label });
      setText(shape.name, item.name);
      shape.render(item.points.map((point) => state.toPixels(point)), state.size);
    }
  }

  #renderHandles({ item, corner, draft, ...state }) {
    const points = item && !draft ? item.points : [];
    const corners = points.map(([x, y]) => [x * state.size[0], y * state.size[1]]);
    const itemSides = item && isPolygon(item.kind) ? sides(corners) : [];
    fitElements(this.#middles, itemSides.length, this.#handles, () => svg("circle", { class: "middle", r: MIDDLE_R }));
    fitElements(this.#corners, points.length, this.#handles, () =>
      svg("circle", { class: "corner", r: CORNER_R, tabindex: 0, role: "button" }),
    );
    itemSides.forEach(([from, to], index) => {
      const isLong = Math.hypot(to[0] - from[0], to[1] - from[1]) >= MIN_SIDE_PX;
      const [cx, cy] = middle(from, to);
      setAttributes(this.#middles[index], { cx, cy, "data-index": index, display: isLong ? null : "none" });
    });
    corners.forEach(([cx, cy], index) => {
      const place = isPolygon(item.kind) ? `corner ${index + 1} of ${points.length}` : ["start", "end"][index];
      setAttributes(this.#corners[index], {
        cx,
        cy,
        class: index === corner ? "corner current" : "corner",
        "data-name": item.name,
        "data-index": index,
        "aria-label": `${item.name}, ${place}: ${points[index].join(", ")}`,
      });
    });
  }

  #renderDraft(state) {
    setAttributes(this.#draft, { display: state.draft ? null : "none" });
    if (!state.draft) return;
    const { points, crosshair, isDragged, kind } = state.draft;
    const corners = points.map((point) => state.toPixels(point));
    const at = crosshair && state.toPixels(crosshair);
    const path = isDragged && isPolygon(kind) ? [...corners, corners[0]] : [...corners, ...(at ? [at] : [])];
    for (const line of [this.#path, this.#pathHalo]) setAttributes(line, { points: path.join(" ") });
    const [width, height] = state.size;
    setAttributes(this.#crosshair, { d: at ? `M 0 ${at[1]} H ${width} M ${at[0]} 0 V ${height}` : "" });
    this.#dots.replaceChildren(
      ...corners.map(([cx, cy], index) => {
        const isFirst = index === 0 && state.canFinish && isPolygon(kind);
        return svg("circle", { cx, cy, r: isFirst ? CORNER_R + 2 : CORNER_R - 2, class: isFirst ? "first" : "dot" });
      }),
    );
  }
}

class Shape {
  name = svg("text", { class: "name" });

  constructor({ kind }, tag) {
    this.halo = svg(tag, { class: "halo" });
    this.focused = svg(tag, { class: kind, tabindex: 0, role: "button" });
    this.group = svg("g", { class: "area" }, this.halo, this.focused);
    this.texts = svg("g", {}, this.name);
  }

  /** Place the name above a point, or below it if there is no space. */
  placeName([x, y], [width]) {
    const anchor = x < width / 3 ? "start" : x > (2 * width) / 3 ? "end" : "middle";
    const within = Math.max(6, Math.min(width - 6, x));
    setAttributes(this.name, { x: within, y: y < 24 ? y + 20 : y - 9, "text-anchor": anchor });
  }
}

class PolygonShape extends Shape {
  constructor(item) {
    super(item, "polygon");
    if (item.kind === "ignore") setAttributes(this.focused, { fill: `url(#${HATCHING})` });
  }

  render(points, size) {
    for (const element of [this.halo, this.focused]) setAttributes(element, { points: points.join(" ") });
    this.placeName(points.reduce((top, point) => (point[1] < top[1] ? point : top)), size);
  }
}

class LineShape extends Shape {
  #arrow = svg("path", { class: "arrow", d: ARROW });
  #left = svg("text", { class: "direction" });
  #right = svg("text", { class: "direction" });

  constructor(item) {
    super(item, "line");
    this.group.append(this.#arrow);
    this.texts.append(this.#left, this.#right);
    this.#left.append("left");
    this.#right.append("right");
  }

  render([from, to], size) {
    const ends = { x1: from[0], y1: from[1], x2: to[0], y2: to[1] };
    for (const element of [this.halo, this.focused]) setAttributes(element, ends);
    const { along, left } = directions([from, to]);
    const turn = (Math.atan2(along[1], along[0]) * 180) / Math.PI;
    const tip = [to[0] - along[0] * ARROW_DISTANCE_PX, to[1] - along[1] * ARROW_DISTANCE_PX];
    setAttributes(this.#arrow, { transform: `translate(${tip.join(" ")}) rotate(${turn})` });
    const [x, y] = middle(from, to);
    placeBeside(this.#left, [x + left[0] * DIRECTION_DISTANCE_PX, y + left[1] * DIRECTION_DISTANCE_PX], left[0]);
    placeBeside(this.#right, [x - left[0] * DIRECTION_DISTANCE_PX, y - left[1] * DIRECTION_DISTANCE_PX], -left[0]);
    this.placeName(from, size);
  }
}

/** Return the pattern of ignore areas, which is referred to by its id. */
function hatching() {
  const shared = { width: HATCHING_PX, height: HATCHING_PX };
  const stripes = { id: HATCHING, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)", ...shared };
  const stripe = svg("rect", { class: "stripe", ...shared, width: HATCHING_PX / 4 });
  return svg("defs", {}, svg("pattern", stripes, svg("rect", { class: "ground", ...shared }), stripe));
}

/** Place a word beside a line so that it does not overlap the line. */
function placeBeside(text, [x, y], towards) {
  setAttributes(text, { x, y: y + 5, "text-anchor": towards > 0.5 ? "start" : towards < -0.5 ? "end" : "middle" });
}

/** Add or remove elements until there are `length`. */
function fitElements(elements, length, group, make) {
  while (elements.length > length) elements.pop().remove();
  while (elements.length < length) {
    elements.push(make());
    group.append(elements.at(-1));
  }
}
