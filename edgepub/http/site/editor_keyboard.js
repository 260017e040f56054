/** The keyboard: everything that the pointer can do on the picture. */

import { isPolygon } from "./area_kinds.js";

const STEP = 0.01;
const FINE_STEP = 0.001; // with Shift
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** The shortcuts as shown to the user. */
export const SHORTCUTS = [
  ["Arrows", "move the crosshair, the corner or the whole; with Shift in small steps"],
  ["Space", "adds a corner at the crosshair"],
  ["Enter", "finishes what is drawn; selects"],
  ["Backspace", "removes the last corner; deletes"],
  ["+", "adds a corner after this one"],
  ["Delete", "deletes the corner or the whole"],
  ["Esc", "cancels, or ends editing"],
  ["Ctrl+Z", "undoes; with Shift, redoes"],
];

export class Keyboard {
  #svg;
  #state;
  #pointer;
  #focus;

  /**
   * @param pointer while a drag is under way, keys except Escape are ignored.
   * @param focus moves the keyboard focus: as for the pointer, and `afterCancel()` and `afterEditing()`.
   */
  constructor(svg, panel, state, pointer, focus) {
    [this.#svg, this.#state, this.#pointer, this.#focus] = [svg, state, pointer, focus];
    svg.addEventListener("focusin", ({ target }) => {
      if (target.matches(".corner")) state.select(state.selected, Number(target.dataset.index));
    });
    document.addEventListener("keydown", (event) => {
      const { target } = event;
      const isInEditor = target === document.body || svg.contains(target) || panel.contains(target);
      if (isInEditor && !event.defaultPrevented && !event.isComposing && this.#handle(event)) event.preventDefault();
    });
  }

  /** Return whether the key was handled. */
  #handle(event) {
    const { key, target } = event;
    const state = this.#state;
    if (key === "Escape") return this.#escape();
    if (this.#pointer.isBusy) return false;
    if (event.ctrlKey || event.metaKey) return !event.altKey && this.#handleCommand(event);
    const isControl = target.closest("input, select, button, textarea, a, summary, pre") !== null;
    if (isControl || event.altKey) return false;
    const step = event.shiftKey ? FINE_STEP : STEP;
    const offset = Object.hasOwn(ARROWS, key) ? ARROWS[key].map((direction) => direction * step) : null;
    return state.draft ? this.#handleDrawing(key, offset) : this.#handleEditing(key, offset, target);
  }

  #escape() {
    const state = this.#state;
    if (this.#pointer.cancel()) return true;
    if (state.draft) this.#focus.afterCancel();
    else if (state.selected !== null) this.#focus.afterEditing();
    else return false;
    return true;
  }

  #handleCommand({ key, shiftKey, target }) {
    if (target.matches("input.pending") && target.value) return false; // the browser undoes text that is not added yet
    const letter = key.toLowerCase();
    if (letter === "z" && !shiftKey) this.#state.undo();
    else if (letter === "y" || (letter === "z" && shiftKey)) this.#state.redo();
    else return false;
    return true;
  }

  #handleDrawing(key, offset) {
    const state = this.#state;
    if (offset) state.moveCrosshair(...offset);
    else if (key === " ") {
      if (!state.draft.crosshair) state.showCrosshair();
      if (state.addDraftCorner()) this.#focus.afterDrawing(false);
    } else if (key === "Enter") {
      if (state.finishDraft()) this.#focus.afterDrawing(false);
    } else if (key === "Backspace") state.removeLastCorner();
    else return false;
    return true;
  }

  #handleEditing(key, offset, target) {
    const state = this.#state;
    const { item } = state;
    const focused = state.edited.item(Number(target.dataset.id));
    if (["Enter", " "].includes(key) && focused) state.select(focused.id);
    else if (!item || !this.#svg.contains(target) || (focused && focused !== item)) return false;
    else if (state.corner !== null && target.matches(".corner")) return this.#handleCorner(key, offset);
    else if (offset) state.move(item.points, ...offset, `arrows ${item.id}`);
    else if (key === "Delete" || key === "Backspace") state.remove(item.id);
    else return false;
    return true;
  }

  #handleCorner(key, offset) {
    const state = this.#state;
    const { item, corner } = state;
    const [x, y] = item.points[corner];
    if (offset) state.moveCorner(corner, [x + offset[0], y + offset[1]], `arrows ${item.id} ${corner}`);
    else if (key === "Delete" || key === "Backspace") state.removeCorner(corner);
    else if ((key === "+" || key === "Insert") && isPolygon(item.kind)) state.addCorner(corner);
    else return false;
    this.#focus.corner(state.corner);
    return true;
  }
}
