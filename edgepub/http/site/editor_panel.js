/** The panel beside the picture: a hint, what is drawn by name, its YAML. */

import { KINDS, isPolygon } from "./area_kinds.js";
import { html, setAttributes, setText } from "./elements.js";
import { AreaForm } from "./editor_form.js";
import { STACKED_LAYOUT, hint } from "./editor_hints.js";
import { SHORTCUTS } from "./editor_keyboard.js";

const button = (text, click, attributes = {}) => html("button", { type: "button", click, ...attributes }, text);

export class EditorPanel {
  #section;
  #state;
  #rows = new Map(); // by the item's id
  #form = null;
  #formId = null;
  #hint = html("p", { class: "hint", id: "editor-hint", role: "status" });
  #list = html("ul", { class: "list" });
  #note = html("p", { class: "note", id: "editor-note", role: "status" });
  #whyNot = html("p", { class: "note", id: "why-not" });
  #yaml = html("pre", { id: "yaml", tabindex: 0, role: "region", "aria-label": "YAML of what is drawn" });

  /** @param {Object<string, Function>} actions those that need more than the state. */
  constructor(section, state, actions) {
    [this.#section, this.#state] = [section, state];
    this.newZone = button("New zone", () => actions.draw("zone"), { id: "new-zone" });
    this.newLine = button("New line", () => actions.draw("line"), { id: "new-line" });
    this.newIgnore = button("New ignore area", () => actions.draw("ignore"), { id: "new-ignore" });
    this.undo = button("Undo", () => state.undo(), { id: "undo" });
    this.redo = button("Redo", () => state.redo(), { id: "redo" });
    this.finish = button("Finish", actions.finish, { id: "finish-draft", class: "main" });
    this.removeLastCorner = button("Remove last corner", () => state.removeLastCorner(), { id: "remove-last-corner" });
    this.cancel = button("Cancel", actions.cancel, { id: "cancel-draft" });
    this.addCorner = button("Add corner", () => state.addCorner(state.corner), { id: "add-corner" });
    this.removeCorner = button("Delete corner", () => state.removeCorner(state.corner), { id: "delete-corner" });
    this.toForm = button("Name and labels", () => this.#form?.show(), { id: "to-form" });
    this.done = button("Done", actions.done, { id: "done" });
    this.save = button("Save", actions.save, { id: "save", class: "main" });
    this.discard = button("Discard changes", () => state.discard(), { id: "discard" });
    this.revert = button("Revert to configuration", actions.revert, { id: "revert" });
    this.copy = button("Copy", actions.copy, { id: "copy" });
    const drawing = [this.finish, this.removeLastCorner, this.cancel];
    const changing = [this.addCorner, this.removeCorner, this.undo, this.redo, this.toForm, this.done];
    const tools = html("div", { class: "tools" }, ...drawing, ...changing);
    this.guide = html("div", { class: "guide" }, this.#hint, tools);
    setAttributes(section, { "aria-labelledby": "editor-title" });
    section.replaceChildren(
      html("h2", { id: "editor-title" }, "Zones, lines and ignore areas"),
      html("div", { class: "tools new" }, this.newZone, this.newLine, this.newIgnore),
      this.guide,
      this.#list,
      html("div", { class: "tools" }, this.save, this.discard, this.revert),
      this.#note,
      this.#whyNot,
      html("div", { class: "tools" }, html("h3", {}, "YAML for the configuration"), this.copy),
      this.#yaml,
      shortcutList(),
    );
  }

  /** The element with the YAML. */
  get yaml() {
    return this.#yaml;
  }

  /** Give the keyboard focus to the name of the selected item. */
  focusName() {
    this.#form?.focus();
  }

  /** Give the keyboard focus to an item of the list. */
  focusRow(id) {
    (this.#rows.get(id)?.select ?? this.newZone).focus({ preventScroll: matchMedia(STACKED_LAYOUT).matches });
  }

  /**
   * Show the state.
   * @param {{camera: Object, known: string[], mistakes: Map<number, string[]>, yaml: string, isSaved: boolean,
   *   isBusy: boolean, isSaving: boolean, note: string}} view everything else to show.
   */
  render(view) {
    const state = this.#state;
    const focused = document.activeElement;
    const isInPanel = this.#section.contains(focused);
    const hasMistakes = [...view.mistakes.values()].some((mistakes) => mistakes.length);
    this.#renderButtons(view, hasMistakes);
    // Not during a drag: a screen reader would read each step.
    if (!view.isBusy) {
      setText(this.#hint, view.isLoaded ? hint(state, view.camera, view.mistakes) : "Waiting for the camera …");
    }
    this.guide.classList.toggle("active", state.draft !== null || state.item !== undefined);
    this.#renderRows(view);
    this.#renderForm(view);
    setText(this.#yaml, view.yaml);
    setText(this.#note, view.note);
    setText(this.#whyNot, view.camera.may_edit ? "" : (view.camera.why_not ?? ""));
    // If the focused element is gone, the focus would return to the top of the page.
    const isGone = !focused.isConnected || focused.disabled || focused.closest("[hidden]");
    if (isInPanel && isGone) this.focusRow(state.selected);
  }

  #renderButtons({ camera, isSaved, isSaving, isLoaded }, hasMistakes) {
    const state = this.#state;
    const { draft, item, edited } = state;
    const isDrawn = (kind) => ({ "aria-pressed": String(draft?.kind === kind), disabled: !isLoaded });
    setAttributes(this.newZone, isDrawn("zone"));
    setAttributes(this.newIgnore, isDrawn("ignore"));
    const reason = camera.tracking === false ? "Lines need tracking: true in the configuration" : null;
    setAttributes(this.newLine, { ...isDrawn("line"), ...(reason ? { disabled: true } : {}), title: reason });
    show(this.undo, !draft && edited.canUndo);
    show(this.redo, !draft && edited.canRedo);
    show(this.finish, draft !== null && isPolygon(draft.kind));
    setAttributes(this.finish, { disabled: !state.canFinish });
    for (const element of [this.removeLastCorner, this.cancel]) show(element, draft !== null);
    setAttributes(this.removeLastCorner, { disabled: !draft?.points.length });
    const hasCorner = !draft && item !== undefined && isPolygon(item.kind) && state.corner !== null;
    for (const element of [this.addCorner, this.removeCorner]) show(element, hasCorner);
    for (const element of [this.toForm, this.done]) show(element, !draft && item !== undefined);
    show(this.save, camera.may_edit === true);
    setAttributes(this.save, { disabled: !edited.isChanged || hasMistakes || isSaving || draft !== null });
    show(this.discard, edited.isChanged);
    show(this.revert, camera.may_edit === true && isSaved);
    setAttributes(this.revert, { disabled: isSaving });
    setAttributes(this.copy, { disabled: hasMistakes || !edited.items.length });
  }

  #renderRows({ mistakes }) {
    const state = this.#state;
    for (const [id, { row }] of this.#rows) {
      if (state.edited.item(id)) continue;
      row.remove();
      this.#rows.delete(id);
    }
    for (const item of state.edited.items) {
      if (!this.#rows.has(item.id)) this.#rows.set(item.id, this.#row(item.id));
      const { row, select, remove, name, summary } = this.#rows.get(item.id);
      const isSelected = item.id === state.selected;
      setAttributes(row, { "data-name": item.name });
      row.classList.toggle("selected", isSelected);
      row.classList.toggle("invalid", mistakes.get(item.id).length > 0);
      setAttributes(select, { "aria-expanded": String(isSelected) });
      setAttributes(remove, { "aria-label": `Delete ${item.name}` });
      setText(name, item.name || "(no name)");
      setText(summary, summarize(item));
    }
    const rows = state.edited.items.map(({ id }) => this.#rows.get(id).row);
    if (rows.some((row, index) => this.#list.children[index] !== row)) this.#list.replaceChildren(...rows);
  }

  #row(id) {
    const state = this.#state;
    const [name, summary] = [html("b"), html("span", { class: "note" })];
    const select = button("", () => state.select(state.selected === id ? null : id), { class: "item-button" });
    select.append(name, summary);
    const remove = button("Delete", () => this.#remove(id), { class: "delete" });
    return { row: html("li", {}, html("div", { class: "row" }, select, remove)), select, remove, name, summary };
  }

  #remove(id) {
    this.#state.remove(id);
    this.focusRow(null);
  }

  #renderForm(view) {
    const { item } = this.#state;
    if (item?.id !== this.#formId) {
      this.#form?.element.remove();
      this.#formId = item?.id ?? null;
      this.#form = item ? new AreaForm(this.#state, item) : null;
      if (item) {
        const { row } = this.#rows.get(item.id);
        row.append(this.#form.element);
        if (!matchMedia(STACKED_LAYOUT).matches) row.scrollIntoView({ block: "nearest" });
      }
    }
    this.#form?.render(view);
  }
}

function summarize({ kind, points, labels }) {
  const { word } = KINDS[kind];
  const description = isPolygon(kind) ? `${word}, ${points.length} corners` : word;
  return `${description}, ${labels?.join(", ") ?? "all labels"}`;
}

function shortcutList() {
  const rows = SHORTCUTS.flatMap(([key, action]) => [html("dt", {}, html("kbd", {}, key)), html("dd", {}, action)]);
  return html("details", {}, html("summary", {}, "Shortcuts"), html("dl", {}, ...rows));
}

function show(element, isVisible) {
  element.hidden = !isVisible;
}
