/** Zones, lines, their handles and what is being drawn, as SVG above the picture. */

import { say, set, svg } from "./elements.js";
import { directions, middle, sides } from "./geometry.js";

/** A shorter side has no handle in its middle: it would be in the corners' way. */
export const LEAST_SIDE_PX = 44;
const CORNER_R = 7;
const MIDDLE_R = 5;
const SIDE_PX = 18; // from a line to the words beside it
const BEFORE_END_PX = 12; // there the arrow is, so that the handle of the end does not hide it
const ARROW = "M 0 0 L -14 -7 L -14 7 Z";

export class Drawing {
  #group;
  #paper = svg("rect", { class: "paper", role: "application", "aria-label": "Picture to draw in" });
  #areas = svg("g", { class: "all" });
  #handles = svg("g", { class: "handles" });
  #draft = svg("g", { class: "draft" });
  #shapes = new Map(); // by the item's id
  #corners = [];
  #middles = [];
  #path = svg("polyline");
  #pathHalo = svg("polyline", { class: "halo" });
  #cross = svg("path", { class: "cross" });
  #dots = svg("g");

  constructor(group) {
    this.#group = group;
    this.#draft.append(this.#pathHalo, this.#path, this.#cross, this.#dots);
    group.append(this.#paper, this.#areas, this.#handles, this.#draft);
  }

  /** Whether it can be seen. */
  get isShown() {
    return getComputedStyle(this.#group).display !== "none";
  }

  /** Let the keys go to the picture, for drawing. */
  focusPaper() {
    this.#paper.focus({ preventScroll: true });
  }

  /** Let the keys go to a corner of the selected item. */
  focusCorner(index) {
    this.#corners[index]?.focus({ preventScroll: true });
  }

  /** Let the keys go to a whole zone or line. */
  focusItem(id) {
    this.#shapes.get(id)?.focused.focus({ preventScroll: true });
  }

  /** Show what is on the desk; what is there already is changed, not made anew: it may have the focus. */
  render(desk, mistakes) {
    const [width, height] = desk.size;
    set(this.#paper, { width, height, tabindex: desk.draft ? 0 : null, display: desk.draft ? null : "none" });
    this.#renderItems(desk, mistakes);
    this.#renderHandles(desk);
    this.#renderDraft(desk);
  }

  #renderItems(desk, mistakes) {
    for (const [id, { group }] of this.#shapes) {
      if (desk.plan.item(id)) continue;
      group.remove();
      this.#shapes.delete(id);
    }
    for (const item of desk.plan.items) {
      if (!this.#shapes.has(item.id)) {
        this.#shapes.set(item.id, item.kind === "zone" ? new ZoneShape(item) : new LineShape(item));
        this.#areas.append(this.#shapes.get(item.id).group);
      }
      const shape = this.#shapes.get(item.id);
      shape.group.classList.toggle("selected", item.id === desk.selected);
      shape.group.classList.toggle("mistaken", mistakes.get(item.id).length > 0);
      set(shape.focused, { "data-name": item.name, "data-id": item.id, "aria-label": `${item.kind} ${item.name}` });
      say(shape.name, item.name);
      shape.render(item.points.map((point) => desk.px(point)), desk.size);
    }
  }

  #renderHandles({ item, corner, draft, ...desk }) {
    const points = item && !draft ? item.points : [];
    const inPx = points.map(([x, y]) => [x * desk.size[0], y * desk.size[1]]);
    const between = item?.kind === "zone" ? sides(inPx) : [];
    fit(this.#middles, between.length, this.#handles, () => svg("circle", { class: "middle", r: MIDDLE_R }));
    fit(this.#corners, points.length, this.#handles, () =>
      svg("circle", { class: "corner", r: CORNER_R, tabindex: 0, role: "button" }),
    );
    between.forEach(([from, to], index) => {
      const isLong = Math.hypot(to[0] - from[0], to[1] - from[1]) >= LEAST_SIDE_PX;
      const [cx, cy] = middle(from, to);
      set(this.#middles[index], { cx, cy, "data-index": index, display: isLong ? null : "none" });
    });
    inPx.forEach(([cx, cy], index) => {
      const which = item.kind === "zone" ? `corner ${index + 1} of ${points.length}` : ["start", "end"][index];
      set(this.#corners[index], {
        cx,
        cy,
        class: index === corner ? "corner current" : "corner",
        "data-name": item.name,
        "data-index": index,
        "aria-label": `${item.name}, ${which}: ${points[index].join(", ")}`,
      });
    });
  }

  #renderDraft(desk) {
    set(this.#draft, { display: desk.draft ? null : "none" });
    if (!desk.draft) return;
    const { points, cross, isSwept, kind } = desk.draft;
    const corners = points.map((point) => desk.px(point));
    const at = cross && desk.px(cross);
    const path = isSwept && kind === "zone" ? [...corners, corners[0]] : [...corners, ...(at ? [at] : [])];
    for (const each of [this.#path, this.#pathHalo]) set(each, { points: path.join(" ") });
    const [width, height] = desk.size;
    set(this.#cross, { d: at ? `M 0 ${at[1]} H ${width} M ${at[0]} 0 V ${height}` : "" });
    this.#dots.replaceChildren(
      ...corners.map(([cx, cy], index) => {
        const isFirst = index === 0 && desk.canClose && kind === "zone";
        return svg("circle", { cx, cy, r: isFirst ? CORNER_R + 2 : CORNER_R - 2, class: isFirst ? "first" : "dot" });
      }),
    );
  }
}

class Shape {
  name = svg("text", { class: "name" });

  constructor({ kind }, tag, ...more) {
    this.halo = svg(tag, { class: "halo" });
    this.focused = svg(tag, { class: kind, tabindex: 0, role: "button" });
    this.group = svg("g", { class: "area" }, this.halo, this.focused, ...more, this.name);
  }

  /** The name stands above a point, or below it where there is no room. */
  nameAt([x, y], [width]) {
    const anchor = x < width / 3 ? "start" : x > (2 * width) / 3 ? "end" : "middle";
    set(this.name, { x: Math.max(6, Math.min(width - 6, x)), y: y < 24 ? y + 20 : y - 9, "text-anchor": anchor });
  }
}

class ZoneShape extends Shape {
  constructor(item) {
    super(item, "polygon");
  }

  render(points, size) {
    for (const each of [this.halo, this.focused]) set(each, { points: points.join(" ") });
    this.nameAt(points.reduce((top, each) => (each[1] < top[1] ? each : top)), size);
  }
}

class LineShape extends Shape {
  #arrow = svg("path", { class: "arrow", d: ARROW });
  #left = svg("text", { class: "way" });
  #right = svg("text", { class: "way" });

  constructor(item) {
    super(item, "line");
    this.group.append(this.#arrow, this.#left, this.#right);
    this.#left.append("left");
    this.#right.append("right");
  }

  render([from, to], size) {
    for (const each of [this.halo, this.focused]) set(each, { x1: from[0], y1: from[1], x2: to[0], y2: to[1] });
    const { along, left } = directions([from, to]);
    const turn = (Math.atan2(along[1], along[0]) * 180) / Math.PI;
    const tip = [to[0] - along[0] * BEFORE_END_PX, to[1] - along[1] * BEFORE_END_PX];
    set(this.#arrow, { transform: `translate(${tip.join(" ")}) rotate(${turn})` });
    const [x, y] = middle(from, to);
    beside(this.#left, [x + left[0] * SIDE_PX, y + left[1] * SIDE_PX], left[0]);
    beside(this.#right, [x - left[0] * SIDE_PX, y - left[1] * SIDE_PX], -left[0]);
    this.nameAt(from, size);
  }
}

/** Put a word where it does not reach back over the line that it is beside. */
function beside(text, [x, y], towards) {
  set(text, { x, y: y + 5, "text-anchor": towards > 0.5 ? "start" : towards < -0.5 ? "end" : "middle" });
}

/** Make a list of elements as long as it should be. */
function fit(elements, length, group, make) {
  while (elements.length > length) elements.pop().remove();
  while (elements.length < length) {
    elements.push(make());
    group.append(elements.at(-1));
  }
}
