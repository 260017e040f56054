/** What stands beside the picture: what to do next, the zones and lines by name, their YAML. */

import { html, say, set } from "./elements.js";
import { Form } from "./editor_form.js";
import { FAR, hint } from "./editor_hints.js";
import { KEYS } from "./editor_keys.js";

const button = (text, click, attributes = {}) => html("button", { type: "button", click, ...attributes }, text);

export class Panel {
  #section;
  #desk;
  #rows = new Map(); // by the item's id
  #form = null;
  #formOf = null;
  #hint = html("p", { class: "hint", id: "editor-hint", role: "status" });
  #list = html("ul", { class: "list" });
  #note = html("p", { class: "note", id: "editor-note", role: "status" });
  #whyNot = html("p", { class: "note", id: "why-not" });
  #yaml = html("pre", { id: "yaml", tabindex: 0, role: "region", "aria-label": "YAML of the zones and lines" });

  /** @param {Object<string, Function>} actions what the desk does not do alone. */
  constructor(section, desk, actions) {
    [this.#section, this.#desk] = [section, desk];
    this.newZone = button("New zone", () => actions.draw("zone"), { id: "new-zone" });
    this.newLine = button("New line", () => actions.draw("line"), { id: "new-line" });
    this.undo = button("Undo", () => desk.undo(), { id: "undo" });
    this.redo = button("Redo", () => desk.redo(), { id: "redo" });
    this.close = button("Close zone", actions.close, { id: "close-draft", class: "main" });
    this.takeBack = button("Take back", () => desk.takeBack(), { id: "take-back" });
    this.cancel = button("Cancel", actions.cancel, { id: "cancel-draft" });
    this.addCorner = button("Add corner", () => desk.addCorner(desk.corner), { id: "add-corner" });
    this.removeCorner = button("Delete corner", () => desk.removeCorner(desk.corner), { id: "delete-corner" });
    this.toForm = button("Name and labels", () => this.#form?.show(), { id: "to-form" });
    this.done = button("Done", actions.done, { id: "done" });
    this.save = button("Save", actions.save, { id: "save", class: "main" });
    this.discard = button("Discard changes", () => desk.discard(), { id: "discard" });
    this.revert = button("Back to the configuration's", actions.revert, { id: "revert" });
    this.copy = button("Copy", actions.copy, { id: "copy" });
    const drawing = [this.close, this.takeBack, this.cancel];
    const changing = [this.addCorner, this.removeCorner, this.undo, this.redo, this.toForm, this.done];
    const tools = html("div", { class: "tools" }, ...drawing, ...changing);
    this.guide = html("div", { class: "guide" }, this.#hint, tools);
    set(section, { "aria-labelledby": "editor-title" });
    section.replaceChildren(
      html("h2", { id: "editor-title" }, "Zones and lines"),
      html("div", { class: "tools" }, this.newZone, this.newLine),
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
    (this.#rows.get(id)?.pick ?? this.newZone).focus({ preventScroll: matchMedia(FAR).matches });
  }

  /**
   * Show what is on the desk.
   * @param {{camera: Object, known: string[], mistakes: Map<number, string[]>, yaml: string, isSaved: boolean,
   *   isBusy: boolean, isSaving: boolean, note: string}} view what else there is to know.
   */
  render(view) {
    const desk = this.#desk;
    const focused = document.activeElement;
    const isOurs = this.#section.contains(focused);
    const isWrong = [...view.mistakes.values()].some((each) => each.length);
    this.#renderButtons(view, isWrong);
    // While a hand moves, each step would be read aloud.
    if (!view.isBusy) say(this.#hint, view.isKnown ? hint(desk, view.camera, view.mistakes) : "Waiting for the camera …");
    this.guide.classList.toggle("active", desk.draft !== null || desk.item !== undefined);
    this.#renderRows(view);
    this.#renderForm(view);
    say(this.#yaml, view.yaml);
    say(this.#note, view.note);
    say(this.#whyNot, view.camera.may_edit ? "" : (view.camera.why_not ?? ""));
    // What the keys went to may be gone: then they would begin at the page's top.
    if (isOurs && (!focused.isConnected || focused.disabled || focused.closest("[hidden]"))) this.focusRow(desk.selected);
  }

  #renderButtons({ camera, isSaved, isSaving, isKnown }, isWrong) {
    const desk = this.#desk;
    const { draft, item, plan } = desk;
    set(this.newZone, { "aria-pressed": String(draft?.kind === "zone"), disabled: !isKnown });
    const why = camera.tracking === false ? "Lines need tracking: true in the configuration" : null;
    set(this.newLine, { "aria-pressed": String(draft?.kind === "line"), disabled: why !== null || !isKnown, title: why });
    show(this.undo, !draft && plan.canUndo);
    show(this.redo, !draft && plan.canRedo);
    show(this.close, draft?.kind === "zone");
    set(this.close, { disabled: !desk.canClose });
    for (const each of [this.takeBack, this.cancel]) show(each, draft !== null);
    set(this.takeBack, { disabled: !draft?.points.length });
    const atCorner = !draft && item?.kind === "zone" && desk.corner !== null;
    for (const each of [this.addCorner, this.removeCorner]) show(each, atCorner);
    for (const each of [this.toForm, this.done]) show(each, !draft && item !== undefined);
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
      set(row, { "data-name": item.name });
      row.classList.toggle("selected", isSelected);
      row.classList.toggle("mistaken", mistakes.get(item.id).length > 0);
      set(pick, { "aria-expanded": String(isSelected) });
      set(remove, { "aria-label": `Delete ${item.name}` });
      say(name, item.name || "(no name)");
      say(what, summary(item));
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
      if (item) {
        const { row } = this.#rows.get(item.id);
        row.append(this.#form.element);
        if (!matchMedia(FAR).matches) row.scrollIntoView({ block: "nearest" });
      }
    }
    this.#form?.render(view);
  }
}

function summary({ kind, points, labels }) {
  const what = kind === "zone" ? `zone, ${points.length} corners` : "line";
  return `${what}, ${labels?.join(", ") ?? "all labels"}`;
}

function keys() {
  const rows = KEYS.flatMap(([key, does]) => [html("dt", {}, html("kbd", {}, key)), html("dd", {}, does)]);
  return html("details", {}, html("summary", {}, "Keys"), html("dl", {}, ...rows));
}

function show(element, isShown) {
  element.hidden = !isShown;
}
