/** The state of the editor: what is selected, what is being drawn; and a method for each action of the user. */

import { KINDS, isPolygon } from "./area_kinds.js";
import { EditedAreas } from "./edited_areas.js";
import { distance, inFrame, middle, moved, rectangle, snapped } from "./geometry.js";

const SNAP_PX = 8; // within this distance of the frame's edge, a corner snaps to it
const DOUBLE_CLICK_PX = 5; // a second click within this distance of the last corner is a double click

/**
 * @typedef {{kind: import("./area_kinds.js").Kind, points: number[][], crosshair: number[]|null,
 *   isDragged: boolean}} Draft
 * What is being drawn: its corners so far, and the place of the next one. `isDragged`: drawn as a whole by a drag.
 */
export class EditorState {
  edited = new EditedAreas();
  /** The id of the selected item. */
  selected = null;
  /** The index of its selected corner: keys apply to it. */
  corner = null;
  /** @type {Draft|null} */
  draft = null;
  /** The size of the picture in CSS pixels. */
  size = [1, 1];
  #onChange;
  #showMessage;

  /**
   * @param {() => void} onChange is called after each change.
   * @param {(text: string) => void} showMessage
   */
  constructor(onChange, showMessage) {
    this.#onChange = onChange;
    this.#showMessage = showMessage;
  }

  get item() {
    return this.edited.item(this.selected);
  }

  get canFinish() {
    return this.draft !== null && this.draft.points.length >= KINDS[this.draft.kind].minPoints;
  }

  /** Return a point in CSS pixels. */
  toPixels([x, y]) {
    return [x * this.size[0], y * this.size[1]];
  }

  select(id, corner = null) {
    if (id !== null && this.draft) return; // finish drawing first
    if (this.selected === id && this.corner === corner) return;
    [this.selected, this.corner] = [id, corner];
    this.#onChange();
  }

  /** Render the state again. */
  refresh() {
    this.#onChange();
  }

  /** Start to draw an area of a kind. */
  startDraft(kind) {
    if (this.draft?.kind === kind && this.draft.points.length) return; // a second click must not discard its corners
    this.draft = { kind, points: [], crosshair: null, isDragged: false };
    this.select(null);
    this.#onChange();
  }

  /** Set the place of the next corner. */
  setCrosshair(point) {
    this.draft.crosshair = snapped(point, this.size, SNAP_PX);
    this.#onChange();
  }

  /** Move the crosshair, which starts in the middle. */
  moveCrosshair(dx, dy) {
    const [x, y] = this.draft.crosshair ?? this.draft.points.at(-1) ?? [0.5, 0.5];
    this.draft.crosshair = inFrame([x + dx, y + dy]);
    this.#onChange();
  }

  /** Show the crosshair, for drawing with the keyboard. */
  showCrosshair() {
    this.moveCrosshair(0, 0);
  }

  /** Draw a rectangle or a line from the start of a drag to its end. */
  dragOut(from, to) {
    const [start, end] = [from, to].map((point) => snapped(point, this.size, SNAP_PX));
    Object.assign(this.draft, {
      points: isPolygon(this.draft.kind) ? rectangle(start, end) : [start, end],
      crosshair: null,
      isDragged: true,
    });
    this.#onChange();
  }

  /** Discard the dragged rectangle or line. */
  cancelDragOut() {
    Object.assign(this.draft, { points: [], isDragged: false });
    this.#onChange();
  }

  /** Add a corner at the crosshair. At the first or again at the last corner, finish instead. Return whether it did. */
  addDraftCorner(nearPx = DOUBLE_CLICK_PX) {
    const { points, kind, crosshair } = this.draft;
    const isNear = (corner, pixels) => corner && distance(this.toPixels(corner), this.toPixels(crosshair)) <= pixels;
    const isDoubleClick = isNear(points.at(-1), DOUBLE_CLICK_PX);
    if (this.canFinish && (isNear(points[0], nearPx) || isDoubleClick)) return this.finishDraft();
    if (isDoubleClick) return false;
    points.push(crosshair);
    if (!isPolygon(kind) && this.canFinish) return this.finishDraft();
    this.#onChange();
    return false;
  }

  /** Remove the last corner, or end drawing if there is none. */
  removeLastCorner() {
    if (this.draft.points.length) this.draft.points.pop();
    else this.draft = null;
    this.#onChange();
  }

  /** Turn the draft into an item. Return whether it has enough corners. */
  finishDraft() {
    if (!this.canFinish) {
      const { word, needs } = KINDS[this.draft.kind];
      this.#showMessage(`This ${word} needs at least ${needs}.`);
      return false;
    }
    const { kind, points } = this.draft;
    this.draft = null;
    this.select(this.edited.add(kind, points));
    return true;
  }

  cancelDraft() {
    this.draft = null;
    this.#onChange();
  }

  /** Move a corner of the selected item. */
  moveCorner(index, point, gesture) {
    this.corner = index;
    this.#setPoints(this.item.points.with(index, inFrame(point)), gesture);
  }

  /** Move a corner with the pointer: it snaps to the frame's edge. */
  dragCorner(index, point, gesture) {
    this.moveCorner(index, snapped(point, this.size, SNAP_PX), gesture);
  }

  /** Add a corner after the one with this index. */
  addCorner(index, point = null, gesture = null) {
    const { points } = this.item;
    const corner = inFrame(point ?? middle(points[index], points[(index + 1) % points.length]));
    this.corner = index + 1;
    this.#setPoints(points.toSpliced(index + 1, 0, corner), gesture);
  }

  /** Remove a corner, unless the item has no more than it needs. */
  removeCorner(index) {
    const { kind, points } = this.item;
    const { word, minPoints, needs } = KINDS[kind];
    if (points.length <= minPoints) {
      this.#showMessage(`This ${word} needs ${needs}. Delete the whole ${word} instead.`);
      return;
    }
    this.corner = Math.min(index, points.length - 2);
    this.#setPoints(points.toSpliced(index, 1));
  }

  /** Move the selected item by an offset from the given points. */
  move(points, dx, dy, gesture) {
    this.#setPoints(moved(points, dx, dy), gesture);
  }

  change(keys, gesture = null) {
    this.edited.change(this.selected, keys, gesture);
    this.#onChange();
  }

  remove(id) {
    const { name } = this.edited.item(id);
    this.edited.remove(id);
    this.#fixSelection();
    this.#showMessage(`${name} was deleted. Undo restores it.`);
  }

  undo() {
    if (this.draft) {
      this.removeLastCorner();
      return;
    }
    this.edited.undo();
    this.#fixSelection();
  }

  redo() {
    this.edited.redo();
    this.#fixSelection();
  }

  discard() {
    this.edited.discard();
    this.#fixSelection();
  }

  /** Undo a drag that was cancelled. */
  cancelGesture(gesture) {
    this.edited.cancelGesture(gesture);
    this.#fixSelection();
  }

  /** Set the server's areas. Return whether unsaved changes conflict with them. */
  setServerAreas(areas, sent) {
    const hasConflict = this.edited.setServerAreas(areas, sent);
    this.#fixSelection();
    return hasConflict;
  }

  #setPoints(points, gesture = null) {
    this.change({ points }, gesture);
  }

  #fixSelection() {
    if (!this.item) this.selected = null;
    if (!this.item || this.corner >= this.item.points.length) this.corner = null;
    this.#onChange();
  }
}
