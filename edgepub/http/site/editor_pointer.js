/** Mouse, finger and pen on the picture: a click sets or selects, a drag moves. */

import { LEAST_SIDE_PX } from "./editor_drawing.js";
import { distance, distanceToSide, isInside, middle, sides } from "./geometry.js";

const NEAR_PX = { mouse: 11, pen: 16, touch: 26 }; // so near is on a handle
const STILL_PX = { mouse: 3, pen: 6, touch: 8 }; // a hand that moved less did not move
const LEAST_SWEEP_PX = 24; // a smaller rectangle or line is a click of a hand that shook
const LONG_PRESS_MS = 600;
const DOUBLE_CLICK_MS = 400;

export class Pointer {
  #svg;
  #desk;
  #drawing;
  #focus;
  #gesture = null;
  #gestures = 0;
  #lastClick = { at: 0, corner: null };

  /**
   * @param svg the overlay.
   * @param desk what is worked on.
   * @param drawing which says whether it is shown: what is not seen is not to be touched.
   * @param focus whom to give the keys: `corner(index)`, `item(id)`, `drawn(isTouch)`.
   */
  constructor(svg, desk, drawing, focus) {
    [this.#svg, this.#desk, this.#drawing, this.#focus] = [svg, desk, drawing, focus];
    svg.addEventListener("pointerdown", (event) => this.#down(event));
    svg.addEventListener("pointermove", (event) => this.#move(event));
    svg.addEventListener("pointerup", (event) => this.#up(event));
    svg.addEventListener("pointercancel", () => this.cancel());
    svg.addEventListener("mousedown", (event) => event.preventDefault()); // the focus goes where we say
    svg.addEventListener("contextmenu", (event) => this.#gesture?.isTouch && event.preventDefault());
  }

  /** Whether a hand is at work, so that what it does is no news yet. */
  get isBusy() {
    return this.#gesture !== null;
  }

  /** Take back what a hand is doing. Return whether it did anything. */
  cancel() {
    if (!this.#gesture) return false;
    const { name } = this.#end();
    if (this.#desk.draft?.isSwept) this.#desk.unsweep();
    this.#desk.forget(name);
    return true;
  }

  #down(event) {
    if (event.button !== 0 || this.#gesture || !this.#drawing.isShown) return;
    const at = this.#at(event);
    const name = `drag ${++this.#gestures}`;
    this.#gesture = {
      id: event.pointerId,
      name,
      start: at,
      isTouch: event.pointerType === "touch",
      hasMoved: false,
      ...(this.#desk.draft ? this.#sketch(at) : this.#held(at, event.pointerType, name)),
    };
    this.#svg.setPointerCapture(event.pointerId);
    this.#gesture.begin?.();
    [this.#gesture.draft, this.#gesture.selected] = [this.#desk.draft, this.#desk.selected];
    if (this.#gesture.hold) this.#gesture.timer = setTimeout(() => this.#end().hold(), LONG_PRESS_MS);
  }

  #move(event) {
    const at = this.#at(event);
    if (!this.#gesture) {
      if (this.#desk.draft) this.#aim(at);
      else if (this.#drawing.isShown) this.#hover(at, event.pointerType);
      return;
    }
    const gesture = this.#gesture;
    if (event.pointerId !== gesture.id || this.#isGone(gesture)) return;
    const pixels = distance(this.#desk.px(at), this.#desk.px(gesture.start));
    if (!gesture.hasMoved && pixels < (STILL_PX[event.pointerType] ?? STILL_PX.mouse)) return;
    gesture.hasMoved = true;
    clearTimeout(gesture.timer);
    gesture.drag?.(at);
  }

  #up(event) {
    if (event.pointerId !== this.#gesture?.id) return;
    const gesture = this.#end();
    const { click, drop, hasMoved } = gesture;
    const nearPx = NEAR_PX[event.pointerType] ?? NEAR_PX.mouse;
    if (!this.#isGone(gesture)) (hasMoved ? drop : click)?.(this.#at(event), nearPx);
    this.#desk.show();
  }

  /** Whether another finger took away what this one holds. */
  #isGone({ draft, selected }) {
    return draft !== this.#desk.draft || selected !== this.#desk.selected;
  }

  /** While drawing: a click sets a corner; a drag at the beginning makes a whole. */
  #sketch(start) {
    const desk = this.#desk;
    const isFirst = desk.draft.points.length === 0;
    const setAt = (at, nearPx) => {
      desk.aim(at);
      if (desk.set(nearPx)) this.#focus.drawn(nearPx === NEAR_PX.touch);
    };
    return {
      begin: () => desk.aim(start),
      drag: (at) => (isFirst ? desk.sweep(start, at) : desk.aim(at)),
      drop: (at, nearPx) => {
        const isSwept = isFirst && distance(desk.px(start), desk.px(at)) >= LEAST_SWEEP_PX;
        if (isFirst && !isSwept) desk.unsweep();
        if (!isSwept) setAt(at, nearPx);
        else if (desk.close()) this.#focus.drawn(nearPx === NEAR_PX.touch);
      },
      click: setAt,
    };
  }

  /** Otherwise: what is under the hand, and what to do with it. */
  #held(at, type, name) {
    const desk = this.#desk;
    const found = this.#find(at, NEAR_PX[type] ?? NEAR_PX.mouse);
    if (found.corner !== undefined) {
      const index = found.corner;
      return {
        begin: () => this.#focusCorner(index),
        drag: (to) => desk.dragCorner(index, to, name),
        click: () => this.#clickCorner(index),
        hold: type === "mouse" ? undefined : () => this.#removeCorner(index),
      };
    }
    if (found.middle !== undefined) {
      let index = null;
      const add = () => {
        index = found.middle + 1;
        desk.addCorner(found.middle, null, name);
        this.#focus.corner(index);
      };
      return {
        drag: (to) => {
          if (index === null) add();
          desk.dragCorner(index, to, name);
        },
        click: add,
      };
    }
    if (found.item && (type !== "touch" || found.item === desk.item)) {
      const { points } = found.item;
      const [x, y] = at;
      return {
        begin: () => this.#selectItem(found.item.id),
        drag: (to) => desk.move(points, to[0] - x, to[1] - y, name),
      };
    }
    return { click: () => this.#selectItem(found.item?.id ?? null) };
  }

  #focusCorner(index) {
    this.#desk.select(this.#desk.selected, index);
    this.#focus.corner(index);
  }

  #selectItem(id) {
    this.#desk.select(id);
    this.#focus.item(id);
  }

  #clickCorner(index) {
    const isDouble = this.#lastClick.corner === index && Date.now() - this.#lastClick.at < DOUBLE_CLICK_MS;
    this.#lastClick = { at: Date.now(), corner: isDouble ? null : index };
    if (isDouble) this.#removeCorner(index);
  }

  #removeCorner(index) {
    this.#desk.removeCorner(index);
    this.#focus.corner(this.#desk.corner);
  }

  #aim(at) {
    this.#svg.style.cursor = "";
    this.#desk.aim(at);
  }

  #hover(at, type) {
    const { corner, middle: between, item } = this.#find(at, NEAR_PX[type] ?? NEAR_PX.mouse);
    const isHandle = corner !== undefined || between !== undefined;
    this.#svg.style.cursor = isHandle ? "grab" : item ? (item === this.#desk.item ? "move" : "pointer") : "";
  }

  /** Return what is at a point: a corner or a middle of the selected item, or an item. */
  #find(at, nearPx) {
    const desk = this.#desk;
    const point = desk.px(at);
    const inPx = (points) => points.map((each) => desk.px(each));
    if (desk.item) {
      const corners = inPx(desk.item.points);
      const corner = nearest(corners, point, nearPx);
      if (corner !== undefined) return { corner };
      const long = ([from, to]) => (distance(from, to) >= LEAST_SIDE_PX ? middle(from, to) : [Infinity, Infinity]);
      const between = desk.item.kind === "zone" ? nearest(sides(corners).map(long), point, nearPx) : undefined;
      if (between !== undefined) return { middle: between };
    }
    const isOn = ({ kind, points }) =>
      kind === "zone" ? isInside(point, inPx(points)) : distanceToSide(point, inPx(points)) <= nearPx;
    const last = (kind) => desk.plan.items.findLast((each) => each.kind === kind && isOn(each));
    return { item: desk.item && isOn(desk.item) ? desk.item : (last("line") ?? last("zone")) };
  }

  #at({ clientX, clientY }) {
    const { left, top, width, height } = this.#svg.getBoundingClientRect();
    return [(clientX - left) / width, (clientY - top) / height];
  }

  #end() {
    const gesture = this.#gesture;
    this.#gesture = null;
    clearTimeout(gesture.timer);
    return gesture;
  }
}

function nearest(points, to, withinPx) {
  const all = points.map((point, index) => ({ index, px: distance(point, to) })).filter(({ px }) => px <= withinPx);
  return all.sort((one, other) => one.px - other.px)[0]?.index;
}
