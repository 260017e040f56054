/** Mouse, touch and pen on the picture: a click adds a corner or selects, a drag moves. */

import { isPolygon } from "./area_kinds.js";
import { MIN_SIDE_PX } from "./editor_view.js";
import { distance, distanceToSide, isInside, middle, sides } from "./geometry.js";

const NEAR_PX = { mouse: 11, pen: 16, touch: 26 }; // within this distance, the pointer is on a handle
const MIN_MOVE_PX = { mouse: 3, pen: 6, touch: 8 }; // a shorter move is a click
const MIN_DRAG_PX = 24; // a shorter drag while drawing is an unsteady click
const LONG_PRESS_MS = 600;
const DOUBLE_CLICK_MS = 400;

export class Pointer {
  #svg;
  #state;
  #view;
  #focus;
  #gesture = null;
  #gestures = 0;
  #lastClick = { at: 0, corner: null };

  /**
   * @param svg the overlay.
   * @param state the state of the editor.
   * @param view knows whether what is drawn is visible: what is hidden must not react.
   * @param focus moves the keyboard focus: `corner(index)`, `item(id)`, `afterDrawing(isTouch)`.
   */
  constructor(svg, state, view, focus) {
    [this.#svg, this.#state, this.#view, this.#focus] = [svg, state, view, focus];
    svg.addEventListener("pointerdown", (event) => this.#down(event));
    svg.addEventListener("pointermove", (event) => this.#move(event));
    svg.addEventListener("pointerup", (event) => this.#up(event));
    svg.addEventListener("pointercancel", () => this.cancel());
    svg.addEventListener("mousedown", (event) => event.preventDefault()); // the editor moves the focus itself
    svg.addEventListener("contextmenu", (event) => this.#gesture?.isTouch && event.preventDefault());
  }

  /** Whether a gesture is under way. */
  get isBusy() {
    return this.#gesture !== null;
  }

  /** Cancel the gesture under way. Return whether there was one. */
  cancel() {
    if (!this.#gesture) return false;
    const { name } = this.#end();
    if (this.#state.draft?.isDragged) this.#state.cancelDragOut();
    this.#state.cancelGesture(name);
    return true;
  }

  #down(event) {
    if (event.button !== 0 || this.#gesture || !this.#view.isVisible) return;
    const at = this.#at(event);
    const name = `drag ${++this.#gestures}`;
    this.#gesture = {
      id: event.pointerId,
      name,
      start: at,
      isTouch: event.pointerType === "touch",
      hasMoved: false,
      ...(this.#state.draft ? this.#drawGesture(at) : this.#editGesture(at, event.pointerType, name)),
    };
    this.#svg.setPointerCapture(event.pointerId);
    this.#gesture.onStart?.();
    [this.#gesture.draft, this.#gesture.selected] = [this.#state.draft, this.#state.selected];
    if (this.#gesture.onHold) this.#gesture.timer = setTimeout(() => this.#end().onHold(), LONG_PRESS_MS);
  }

  #move(event) {
    const at = this.#at(event);
    if (!this.#gesture) {
      if (this.#state.draft) this.#setCrosshair(at);
      else if (this.#view.isVisible) this.#hover(at, event.pointerType);
      return;
    }
    const gesture = this.#gesture;
    if (event.pointerId !== gesture.id || this.#isObsolete(gesture)) return;
    const pixels = distance(this.#state.toPixels(at), this.#state.toPixels(gesture.start));
    if (!gesture.hasMoved && pixels < (MIN_MOVE_PX[event.pointerType] ?? MIN_MOVE_PX.mouse)) return;
    gesture.hasMoved = true;
    clearTimeout(gesture.timer);
    gesture.onDrag?.(at);
  }

  #up(event) {
    if (event.pointerId !== this.#gesture?.id) return;
    const gesture = this.#end();
    const { onClick, onDrop, hasMoved } = gesture;
    const nearPx = NEAR_PX[event.pointerType] ?? NEAR_PX.mouse;
    if (!this.#isObsolete(gesture)) (hasMoved ? onDrop : onClick)?.(this.#at(event), nearPx);
    this.#state.refresh();
  }

  /** Return whether another pointer has changed the selection or the draft during the gesture. */
  #isObsolete({ draft, selected }) {
    return draft !== this.#state.draft || selected !== this.#state.selected;
  }

  /** While drawing: a click adds a corner; a drag at the beginning draws the whole. */
  #drawGesture(start) {
    const state = this.#state;
    const isFirst = state.draft.points.length === 0;
    const addCornerAt = (at, nearPx) => {
      state.setCrosshair(at);
      if (state.addDraftCorner(nearPx)) this.#focus.afterDrawing(nearPx === NEAR_PX.touch);
    };
    return {
      onStart: () => state.setCrosshair(start),
      onDrag: (at) => (isFirst ? state.dragOut(start, at) : state.setCrosshair(at)),
      onDrop: (at, nearPx) => {
        const isDragged = isFirst && distance(state.toPixels(start), state.toPixels(at)) >= MIN_DRAG_PX;
        if (isFirst && !isDragged) state.cancelDragOut();
        if (!isDragged) addCornerAt(at, nearPx);
        else if (state.finishDraft()) this.#focus.afterDrawing(nearPx === NEAR_PX.touch);
      },
      onClick: addCornerAt,
    };
  }

  /** While editing: find what is under the pointer, and return what to do with it. */
  #editGesture(at, type, name) {
    const state = this.#state;
    const found = this.#find(at, NEAR_PX[type] ?? NEAR_PX.mouse);
    if (found.corner !== undefined) {
      const index = found.corner;
      return {
        onStart: () => this.#focusCorner(index),
        onDrag: (to) => state.dragCorner(index, to, name),
        onClick: () => this.#clickCorner(index),
        onHold: type === "mouse" ? undefined : () => this.#removeCorner(index),
      };
    }
    if (found.middle !== undefined) {
      let index = null;
      const add = () => {
        index = found.middle + 1;
        state.addCorner(found.middle, null, name);
        this.#focus.corner(index);
      };
      return {
        onDrag: (to) => {
          if (index === null) add();
          state.dragCorner(index, to, name);
        },
        onClick: add,
      };
    }
    if (found.item && (type !== "touch" || found.item === state.item)) {
      const { points } = found.item;
      const [x, y] = at;
      return {
        onStart: () => this.#selectItem(found.item.id),
        onDrag: (to) => state.move(points, to[0] - x, to[1] - y, name),
      };
    }
    return { onClick: () => this.#selectItem(found.item?.id ?? null) };
  }

  #focusCorner(index) {
    this.#state.select(this.#state.selected, index);
    this.#focus.corner(index);
  }

  #selectItem(id) {
    this.#state.select(id);
    this.#focus.item(id);
  }

  #clickCorner(index) {
    const isDouble = this.#lastClick.corner === index && Date.now() - this.#lastClick.at < DOUBLE_CLICK_MS;
    this.#lastClick = { at: Date.now(), corner: isDouble ? null : index };
    if (isDouble) this.#removeCorner(index);
  }

  #removeCorner(index) {
    this.#state.removeCorner(index);
    this.#focus.corner(this.#state.corner);
  }

  #setCrosshair(at) {
    this.#svg.style.cursor = "";
    this.#state.setCrosshair(at);
  }

  #hover(at, type) {
    const { corner, middle: between, item } = this.#find(at, NEAR_PX[type] ?? NEAR_PX.mouse);
    const isHandle = corner !== undefined || between !== undefined;
    this.#svg.style.cursor = isHandle ? "grab" : item ? (item === this.#state.item ? "move" : "pointer") : "";
  }

  /** Return what is at a point: a corner or the middle of a side of the selected item, or an item. */
  #find(at, nearPx) {
    const state = this.#state;
    const point = state.toPixels(at);
    const toPixels = (points) => points.map((corner) => state.toPixels(corner));
    if (state.item) {
      const corners = toPixels(state.item.points);
      const corner = nearest(corners, point, nearPx);
      if (corner !== undefined) return { corner };
      const middleOf = ([from, to]) => (distance(from, to) >= MIN_SIDE_PX ? middle(from, to) : [Infinity, Infinity]);
      const between = isPolygon(state.item.kind) ? nearest(sides(corners).map(middleOf), point, nearPx) : undefined;
      if (between !== undefined) return { middle: between };
    }
    const isOn = ({ kind, points }) =>
      isPolygon(kind) ? isInside(point, toPixels(points)) : distanceToSide(point, toPixels(points)) <= nearPx;
    const on = state.edited.items.filter(isOn);
    const last = on.findLast(({ kind }) => !isPolygon(kind)) ?? on.at(-1);
    return { item: on.includes(state.item) ? state.item : last };
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
