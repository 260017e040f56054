/** The keys: what the hand does on the picture can be done with these as well. */

const STEP = 0.01;
const FINE_STEP = 0.001; // with shift
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** What each key does, for the user. */
export const KEYS = [
  ["Arrows", "move the cross, the corner or the whole; with Shift in small steps"],
  ["Space", "sets a corner where the cross is"],
  ["Enter", "closes what is drawn; selects"],
  ["Backspace", "takes the last corner back; deletes"],
  ["+", "adds a corner behind this one"],
  ["Delete", "deletes the corner, or the whole"],
  ["Esc", "cancels, or ends editing"],
  ["Ctrl+Z", "undoes; with Shift, does it again"],
];

export class Keys {
  #svg;
  #desk;
  #pointer;
  #focus;

  /**
   * @param pointer the hand, which goes first.
   * @param focus whom to give the keys: as the hand's, and when it ends, `cancelled()` and `none()`.
   */
  constructor(svg, panel, desk, pointer, focus) {
    [this.#svg, this.#desk, this.#pointer, this.#focus] = [svg, desk, pointer, focus];
    svg.addEventListener("focusin", ({ target }) => {
      if (target.matches(".corner")) desk.select(desk.selected, Number(target.dataset.index));
    });
    document.addEventListener("keydown", (event) => {
      const { target } = event;
      const isOurs = target === document.body || svg.contains(target) || panel.contains(target);
      if (isOurs && !event.defaultPrevented && !event.isComposing && this.#press(event)) event.preventDefault();
    });
  }

  /** Return whether the key did something here. */
  #press(event) {
    const { key, target } = event;
    const desk = this.#desk;
    if (key === "Escape") return this.#escape();
    if (this.#pointer.isBusy) return false;
    if (event.ctrlKey || event.metaKey) return !event.altKey && this.#command(event);
    const isControl = target.closest("input, select, button, textarea, a, summary, pre") !== null;
    if (isControl || event.altKey) return false;
    const step = event.shiftKey ? FINE_STEP : STEP;
    const by = Object.hasOwn(ARROWS, key) ? ARROWS[key].map((each) => each * step) : null;
    return desk.draft ? this.#drawing(key, by) : this.#editing(key, by, target);
  }

  #escape() {
    const desk = this.#desk;
    if (this.#pointer.cancel()) return true;
    if (desk.draft) this.#focus.cancelled();
    else if (desk.selected !== null) this.#focus.none();
    else return false;
    return true;
  }

  #command({ key, shiftKey, target }) {
    if (target.matches("input.unplanned") && target.value) return false; // what is not on the desk is the browser's
    const letter = key.toLowerCase();
    if (letter === "z" && !shiftKey) this.#desk.undo();
    else if (letter === "y" || (letter === "z" && shiftKey)) this.#desk.redo();
    else return false;
    return true;
  }

  #drawing(key, by) {
    const desk = this.#desk;
    if (by) desk.moveCross(...by);
    else if (key === " ") {
      if (!desk.draft.cross) desk.showCross();
      if (desk.set()) this.#focus.drawn(false);
    } else if (key === "Enter") {
      if (desk.close()) this.#focus.drawn(false);
    } else if (key === "Backspace") desk.takeBack();
    else return false;
    return true;
  }

  #editing(key, by, target) {
    const desk = this.#desk;
    const { item } = desk;
    const focused = desk.plan.item(Number(target.dataset.id));
    if (["Enter", " "].includes(key) && focused) desk.select(focused.id);
    else if (!item || !this.#svg.contains(target) || (focused && focused !== item)) return false;
    else if (desk.corner !== null && target.matches(".corner")) return this.#atCorner(key, by);
    else if (by) desk.move(item.points, ...by, `arrows ${item.id}`);
    else if (key === "Delete" || key === "Backspace") desk.remove(item.id);
    else return false;
    return true;
  }

  #atCorner(key, by) {
    const desk = this.#desk;
    const { item, corner } = desk;
    const [x, y] = item.points[corner];
    if (by) desk.moveCorner(corner, [x + by[0], y + by[1]], `arrows ${item.id} ${corner}`);
    else if (key === "Delete" || key === "Backspace") desk.removeCorner(corner);
    else if ((key === "+" || key === "Insert") && item.kind === "zone") desk.addCorner(corner);
    else return false;
    this.#focus.corner(desk.corner);
    return true;
  }
}
