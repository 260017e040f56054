/** What the user is doing: what is selected, what is being drawn; each action of hand and keyboard by its name. */

import { Plan } from "./editor_plan.js";
import { distance, inFrame, middle, moved, rectangle, snapped } from "./geometry.js";

export const EDGE_PX = 8; // so near to the frame's edge, a corner goes onto it
const SAME_PX = 5; // a second click so near to the last corner is a double click
const LEAST_CORNERS = { zone: 3, line: 2 };

/**
 * @typedef {{kind: "zone"|"line", points: number[][], cross: number[]|null, isSwept: boolean}} Draft
 * What is being drawn: its corners so far, and where the next one would be.
 */
export class Desk {
  plan = new Plan();
  /** The selected item's id. */
  selected = null;
  /** The number of its corner that the keys are for. */
  corner = null;
  /** @type {Draft|null} */
  draft = null;
  /** Of the picture, in pixels of the page. */
  size = [1, 1];
  #changed;
  #said;

  /**
   * @param {() => void} changed is called after each change.
   * @param {(text: string) => void} said is given what the user should know.
   */
  constructor(changed, said) {
    this.#changed = changed;
    this.#said = said;
  }

  get item() {
    return this.plan.item(this.selected);
  }

  get canClose() {
    return this.draft !== null && this.draft.points.length >= LEAST_CORNERS[this.draft.kind];
  }

  /** Return a point in pixels of the page. */
  px([x, y]) {
    return [x * this.size[0], y * this.size[1]];
  }

  select(id, corner = null) {
    if (id !== null && this.draft) return; // one thing at a time
    if (this.selected === id && this.corner === corner) return;
    [this.selected, this.corner] = [id, corner];
    this.#changed();
  }

  /** Show it anew. */
  show() {
    this.#changed();
  }

  /** Begin to draw. */
  draw(kind) {
    if (this.draft?.kind === kind && this.draft.points.length) return; // its corners are not lost to a second press
    this.draft = { kind, points: [], cross: null, isSwept: false };
    this.select(null);
    this.#changed();
  }

  /** Show where the next corner would be. */
  aim(point) {
    this.draft.cross = snapped(point, this.size, EDGE_PX);
    this.#changed();
  }

  /** Move the cross, which begins in the middle. */
  moveCross(dx, dy) {
    const [x, y] = this.draft.cross ?? this.draft.points.at(-1) ?? [0.5, 0.5];
    this.draft.cross = inFrame([x + dx, y + dy]);
    this.#changed();
  }

  /** Show the cross, for one who draws with keys. */
  showCross() {
    this.moveCross(0, 0);
  }

  /** Draw a rectangle, or a line, from where the hand came down to where it is. */
  sweep(from, to) {
    const [start, end] = [from, to].map((each) => snapped(each, this.size, EDGE_PX));
    Object.assign(this.draft, {
      points: this.draft.kind === "zone" ? rectangle(start, end) : [start, end],
      cross: null,
      isSwept: true,
    });
    this.#changed();
  }

  /** Take the rectangle, or the line, back. */
  unsweep() {
    Object.assign(this.draft, { points: [], isSwept: false });
    this.#changed();
  }

  /** Set a corner where the cross is; on the first, or again on the last, it closes. Return whether it did. */
  set(nearPx = SAME_PX) {
    const { points, kind, cross } = this.draft;
    const isNear = (corner, pixels) => corner && distance(this.px(corner), this.px(cross)) <= pixels;
    if (this.canClose && (isNear(points[0], nearPx) || isNear(points.at(-1), SAME_PX))) return this.close();
    if (isNear(points.at(-1), SAME_PX)) return false;
    points.push(cross);
    if (kind === "line" && this.canClose) return this.close();
    this.#changed();
    return false;
  }

  /** Take the last corner back. */
  takeBack() {
    if (this.draft.points.length) this.draft.points.pop();
    else this.draft = null;
    this.#changed();
  }

  /** Make what is drawn one of the items; return whether it has corners enough. */
  close() {
    if (!this.canClose) {
      this.#said(this.draft.kind === "zone" ? "A zone needs at least 3 corners." : "A line needs two ends.");
      return false;
    }
    const { kind, points } = this.draft;
    this.draft = null;
    this.select(this.plan.add(kind, points));
    return true;
  }

  cancel() {
    this.draft = null;
    this.#changed();
  }

  /** Put a corner of the selected item somewhere. */
  moveCorner(index, point, gesture) {
    this.corner = index;
    this.#setPoints(this.item.points.with(index, inFrame(point)), gesture);
  }

  /** Put a corner by hand: at the frame's edge, it snaps. */
  dragCorner(index, point, gesture) {
    this.moveCorner(index, snapped(point, this.size, EDGE_PX), gesture);
  }

  /** Put a corner in behind the one with this number. */
  addCorner(index, point = null, gesture = null) {
    const { points } = this.item;
    const set = inFrame(point ?? middle(points[index], points[(index + 1) % points.length]));
    this.corner = index + 1;
    this.#setPoints(points.toSpliced(index + 1, 0, set), gesture);
  }

  /** Take a corner out; a line, and a zone with three, keep theirs. */
  removeCorner(index) {
    const { kind, points } = this.item;
    if (points.length <= LEAST_CORNERS[kind]) {
      this.#said(kind === "zone" ? "A zone keeps 3 corners: delete the whole." : "A line keeps its two ends.");
      return;
    }
    this.corner = Math.min(index, points.length - 2);
    this.#setPoints(points.toSpliced(index, 1));
  }

  /** Move the whole from where it was. */
  move(points, dx, dy, gesture) {
    this.#setPoints(moved(points, dx, dy), gesture);
  }

  change(keys, gesture = null) {
    this.plan.change(this.selected, keys, gesture);
    this.#changed();
  }

  remove(id) {
    const { name } = this.plan.item(id);
    this.plan.remove(id);
    this.#tidy();
    this.#said(`${name} is deleted: Undo brings it back.`);
  }

  undo() {
    if (this.draft) {
      this.takeBack();
      return;
    }
    this.plan.undo();
    this.#tidy();
  }

  redo() {
    this.plan.redo();
    this.#tidy();
  }

  discard() {
    this.plan.discard();
    this.#tidy();
  }

  /** Take a drag back. */
  forget(gesture) {
    this.plan.forget(gesture);
    this.#tidy();
  }

  /** Take what the server has; return whether it is not shown, because of what is changed here. */
  receive(areas, sent) {
    const isOvertaken = this.plan.receive(areas, sent);
    this.#tidy();
    return isOvertaken;
  }

  #setPoints(points, gesture = null) {
    this.change({ points }, gesture);
  }

  #tidy() {
    if (!this.item) this.selected = null;
    if (!this.item || this.corner >= this.item.points.length) this.corner = null;
    this.#changed();
  }
}
