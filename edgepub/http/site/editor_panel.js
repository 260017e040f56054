/** What stands beside the picture: what to do next, the zones and lines by name, their YAML. */

import { html, say, set } from "./editor_elements.js";
import { Form } from "./editor_form.js";
import { hint } from "./editor_hints.js";
import { KEYS } from "./editor_keys.js";

const button = (text, click, attributes = {}) => html("button", { type: "button", click, ...attributes }, text);

export class Panel {
  #desk;
  #rows = new Map(); // by the item's id
  #form = null;
  #formOf = null;
  #hint = html("p", { class: "hint", id: "editor-hint", role: "status" });
  #list = html("ul", { class: "list" });
  #note = html("p", { class: "note", id: "editor-note", role: "status" });
  #whyNot = html("p", { class: "note", id: "why-not" });
  #yaml = html("pre", { id: "yaml", tabindex: 0, "aria-label": "YAML of the zones and lines" });

  /** @param {{save: Function, revert: Function, copy: Function, done: Function}} actions what the desk cannot do. */
  constructor(section, desk, actions) {
    this.#desk = desk;
    this.newZone = button("New zone", () => actions.draw("zone"), { id: "new-zone" });
    this.newLine = button("New line", () => actions.draw("line"), { id: "new-line" });
    this.undo = button("Undo", () => desk.undo(), { id: "undo" });
    this.redo = button("Redo", () => desk.redo(), { id: "redo" });
    this.close = button("Close", () => desk.close(), { id: "close-draft", class: "primary" });
    this.takeBack = button("Take back", () => desk.takeBack(), { id: "take-back" });
    this.cancel = button("Cancel", () => desk.cancel(), { id: "cancel-draft" });
    this.addCorner = button("Add corner", () => desk.addCorner(desk.corner), { id: "add-corner" });
    this.removeCorner = button("Delete corner", () => desk.removeCorner(desk.corner), { id: "delete-corner" });
    this.done = button("Done", actions.done, { id: "done" });
    this.save = button("Save", actions.save, { id: "save", class: "primary" });
    this.discard = button("Discard changes", () => desk.discard(), { id: "discard" });
    this.revert = button("Back to the configuration's", actions.revert, { id: "revert" });
    this.copy = button("Copy", actions.copy, { id: "copy" });
    const doing = [this.close, this.takeBack, this.cancel, this.addCorner, this.removeCorner, this.done];
    this.guide = html("div", { class: "guide" }, this.#hint, html("div", { class: "tools" }, ...doing));
    set(section, { "aria-labelledby": "editor-title" });
    section.replaceChildren(
      html("h2", { id: "editor-title" }, "Zones and lines"),
      html("div", { class: "tools" }, this.newZone, this.newLine, this.undo, this.redo),
      this.guide,
      this.#list,
      html("div", { class: "tools" }, this.save, this.discard, this.revert),
      this.#note,
      this.#whyNot,
      html("div", { class: "tools" }, html("h3", {}, "For the configuration"), this.copy),
      this.#yaml,
      keys(),
    );
  }

  /** The YAML as it stands there. */
  get yaml() {
    return this.#yaml;
  }

  /** Let the user type the name of what is selected. */
  focusName() {
    this.#form?.focus();
  }

  /** Let the keys go to an item of the list. */
  focusRow(id) {
    (this.#rows.get(id)?.pick ?? this.newZone).focus({ preventScroll: true });
  }

  /**
   * Show what is on the desk.
   *
   * @param {{camera: Object, known: string[], mistakes: Map<number, string[]>, yaml: string, isSaved: boolean,
   *   isBusy: boolean, isSaving: boolean, note: string}} view what else there is to know.
   */
  render(view) {
    const desk = this.#desk;
    const isWrong = [...view.mistakes.values()].some((each) => each.length);
    this.#renderButtons(view, isWrong);
    if (!view.isBusy) say(this.#hint, hint(desk, view.camera)); // a hand that moves would be read aloud at each step
    this.guide.classList.toggle("active", desk.draft !== null || desk.item !== undefined);
    this.#renderRows(view);
    this.#renderForm(view);
    say(this.#yaml, view.yaml);
    say(this.#note, view.note);
    say(this.#whyNot, view.camera.may_edit ? "" : (view.camera.why_not ?? ""));
  }

  #renderButtons({ camera, isSaved, isSaving }, isWrong) {
    const desk = this.#desk;
    const { draft, item, plan } = desk;
    set(this.newZone, { "aria-pressed": String(draft?.kind === "zone") });
    set(this.newLine, { "aria-pressed": String(draft?.kind === "line"), disabled: camera.tracking === false });
    set(this.newLine, { title: camera.tracking === false ? "Lines need tracking: true in the configuration" : null });
    set(this.undo, { disabled: !draft && !plan.canUndo });
    set(this.redo, { disabled: draft !== null || !plan.canRedo });
    show(this.close, draft?.kind === "zone");
    set(this.close, { disabled: !desk.canClose });
    for (const each of [this.takeBack, this.cancel]) show(each, draft !== null);
    set(this.takeBack, { disabled: !draft?.points.length });
    const atCorner = !draft && item?.kind === "zone" && desk.corner !== null;
    for (const each of [this.addCorner, this.removeCorner]) show(each, atCorner);
    show(this.done, !draft && item !== undefined);
    show(this.save, camera.may_edit === true);
    set(this.save, { disabled: !plan.isChanged || isWrong || isSaving || draft !== null });
    show(this.discard, plan.isChanged);
    show(this.revert, camera.may_edit === true && isSaved);
    set(this.revert, { disabled: isSaving });
    set(this.copy, { disabled: isWrong || !plan.items.length });
  }

  #renderRows({ mistakes }) {
    const desk = this.#desk;
    for (const [id, { row }] of this.#rows) {
      if (desk.plan.item(id)) continue;
      row.remove();
      this.#rows.delete(id);
    }
    for (const item of desk.plan.items) {
      if (!this.#rows.has(item.id)) this.#rows.set(item.id, this.#row(item.id));
      const { row, pick, remove, name, what } = this.#rows.get(item.id);
      const isSelected = item.id === desk.selected;
      set(row, { "data-name": item.name, class: [isSelected && "selected", mistakes.get(item.id).length && "mistaken"].filter(Boolean).join(" ") });
      set(pick, { "aria-expanded": String(isSelected) });
      set(remove, { "aria-label": `Delete ${item.name}` });
      say(name, item.name || "(no name)");
      say(what, `${item.kind === "zone" ? `zone, ${item.points.length} corners` : "line"}, ${item.labels?.join(", ") ?? "all labels"}`);
    }
    const rows = desk.plan.items.map(({ id }) => this.#rows.get(id).row);
    if (rows.some((row, index) => this.#list.children[index] !== row)) this.#list.replaceChildren(...rows);
  }

  #row(id) {
    const desk = this.#desk;
    const [name, what] = [html("b"), html("span", { class: "note" })];
    const pick = button("", () => desk.select(desk.selected === id ? null : id), { class: "pick" });
    pick.append(name, what);
    const remove = button("Delete", () => this.#remove(id), { class: "delete" });
    return { row: html("li", {}, html("div", { class: "row" }, pick, remove)), pick, remove, name, what };
  }

  #remove(id) {
    this.#desk.remove(id);
    this.focusRow(null);
  }

  #renderForm(view) {
    const { item } = this.#desk;
    if (item?.id !== this.#formOf) {
      this.#form?.element.remove();
      this.#formOf = item?.id ?? null;
      this.#form = item ? new Form(this.#desk, item) : null;
      if (item) this.#rows.get(item.id).row.append(this.#form.element);
    }
    this.#form?.render(view);
  }
}

function keys() {
  const rows = KEYS.flatMap(([key, does]) => [html("dt", {}, html("kbd", {}, key)), html("dd", {}, does)]);
  return html("details", {}, html("summary", {}, "Keys"), html("dl", {}, ...rows));
}

function show(element, isShown) {
  element.hidden = !isShown;
}
