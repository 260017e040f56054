/** The editor for zones, lines and ignore areas: drawn on the picture, named in the panel, saved or copied as YAML. */

import { KINDS } from "./area_kinds.js";
import { revertAreas, saveAreas } from "./areas_api.js";
import { Keyboard } from "./editor_keyboard.js";
import { EditorPanel } from "./editor_panel.js";
import { Pointer } from "./editor_pointer.js";
import { EditorState } from "./editor_state.js";
import { EditorView } from "./editor_view.js";
import { areasYaml } from "./yaml.js";

const CONFLICT =
  "Changed elsewhere in the meantime. Save replaces those changes with yours; Discard changes shows them.";
const UNSAVED = "Not saved yet.";
const SAVED = "Saved on this page: these replace the zones, lines and ignore areas of the configuration.";

export class Editor {
  #svg;
  #state;
  #view;
  #panel;
  #pointer;
  #showMessage;
  #camera = { name: "", labels: null, may_edit: false, why_not: null, tracking: true };
  #knownLabels = [];
  #isSaved = false;
  #isSaving = false;
  #hasConflict = false;
  #sentAreas = null;
  #copiedYaml = "";
  #isLoaded = false;
  #pendingAreas = null; // areas that arrived during a gesture
  #rejected = { areas: "", mistakes: [] }; // the server's mistakes, and the areas that they belong to

  /**
   * @param {Object} parts
   * @param {SVGSVGElement} parts.svg the overlay, above the picture.
   * @param {SVGGElement} parts.group a group in it for the editor alone.
   * @param {HTMLElement} parts.panel the element for the panel.
   * @param {(text: string, isError?: boolean) => void} parts.showMessage shows a message to the user.
   */
  constructor({ svg, group, panel, showMessage }) {
    [this.#svg, this.#showMessage] = [svg, showMessage];
    this.#state = new EditorState(() => this.#render(), showMessage);
    this.#view = new EditorView(group);
    this.#panel = new EditorPanel(panel, this.#state, {
      draw: (kind) => this.#startDraft(kind),
      finish: () => this.#state.finishDraft() && this.#focusName(matchMedia("(pointer: coarse)").matches),
      cancel: () => this.#cancel(),
      done: () => this.#deselect(),
      save: () => this.#save(),
      revert: () => this.#revert(),
      copy: () => this.#copy(),
    });
    const focus = {
      corner: (index) => this.#view.focusCorner(index),
      item: (id) => this.#view.focusItem(id),
      afterDrawing: (isTouch) => this.#focusName(isTouch),
      afterCancel: () => this.#cancel(),
      afterEditing: () => this.#deselect(),
    };
    this.#pointer = new Pointer(svg, this.#state, this.#view, focus);
    new Keyboard(svg, panel, this.#state, this.#pointer, focus);
    addEventListener("beforeunload", (event) => {
      const isCopied = !this.#camera.may_edit && this.#panel.yaml.textContent === this.#copiedYaml;
      if (this.isChanged && !isCopied) event.preventDefault();
    });
    this.#render();
  }

  /** What is drawn, as edited, in the format of the configuration. */
  get areas() {
    return this.#state.edited.config;
  }

  /** Whether there are unsaved changes. */
  get isChanged() {
    return this.#state.edited.isChanged || Boolean(this.#state.draft?.points.length);
  }

  /** Set the description of the camera. */
  setCamera(camera) {
    this.#camera = { ...this.#camera, ...camera };
    this.#render();
  }

  /** Set the server's areas. Unsaved changes stay. */
  setAreas(areas, saved) {
    this.#pendingAreas = { areas, saved };
    this.#render();
  }

  /** Set the labels to choose from, in addition to those in use. */
  setKnownLabels(labels) {
    this.#knownLabels = [...labels].sort();
    this.#render();
  }

  /** Set the size of the picture in CSS pixels. */
  resize(width, height) {
    this.#state.size = [width || 1, height || 1];
    this.#render();
  }

  #render() {
    if (this.#pendingAreas && !this.#pointer?.isBusy) this.#applyPendingAreas();
    const mistakes = this.#mistakes();
    const { edited, draft, selected } = this.#state;
    this.#svg.classList.toggle("drawing", draft !== null);
    this.#svg.classList.toggle("editing", draft !== null || selected !== null);
    this.#view.render(this.#state, mistakes);
    this.#hasConflict &&= edited.isChanged;
    this.#panel.render({
      camera: this.#camera,
      known: this.#knownLabels,
      mistakes,
      yaml: areasYaml(edited.config),
      isSaved: this.#isSaved,
      isBusy: this.#pointer?.isBusy ?? false,
      isSaving: this.#isSaving,
      isLoaded: this.#isLoaded,
      note: this.#note(),
    });
  }

  #note() {
    if (this.#hasConflict) return CONFLICT;
    if (this.#state.edited.isChanged) return this.#camera.may_edit ? UNSAVED : "";
    return this.#isSaved ? SAVED : "";
  }

  #applyPendingAreas() {
    const { areas, saved } = this.#pendingAreas;
    this.#isLoaded = true;
    this.#pendingAreas = null;
    this.#isSaved = saved;
    const hasConflict = this.#state.setServerAreas(areas, this.#sentAreas);
    this.#hasConflict ||= hasConflict;
  }

  /** Return the mistakes found here, and those found by the server as long as nothing has changed since. */
  #mistakes() {
    const { edited } = this.#state;
    const mistakes = edited.mistakes(this.#camera);
    if (this.#rejected.areas !== JSON.stringify(edited.config)) return mistakes;
    for (const { id, kind, name } of edited.items) {
      const { key } = KINDS[kind];
      const itemMistakes = this.#rejected.mistakes.filter(({ place }) => place[0] === key && place[1] === name);
      const lines = itemMistakes.map(({ why }) => why);
      mistakes.set(id, [...new Set([...mistakes.get(id), ...lines])]);
    }
    return mistakes;
  }

  #startDraft(kind) {
    this.#state.startDraft(kind);
    this.#svg.scrollIntoView({ block: "nearest" });
    this.#view.focusCanvas();
  }

  #cancel() {
    this.#state.cancelDraft();
    this.#panel.focusRow(null);
  }

  /** Focus the name after drawing. Not on touch screens: their keyboard would cover half of the picture. */
  #focusName(isTouch) {
    if (!isTouch) this.#panel.focusName();
  }

  #deselect() {
    const { selected } = this.#state;
    this.#state.select(null);
    this.#panel.focusRow(selected);
  }

  async #save() {
    const { areas } = this;
    this.#sentAreas = areas;
    const result = await this.#request(saveAreas(this.#camera.name, areas));
    if (result.mistakes) {
      this.#rejected = { areas: JSON.stringify(areas), mistakes: result.mistakes };
      const [{ place, why }] = result.mistakes;
      this.#showMessage(`Not saved: ${[place.join("."), why].filter(Boolean).join(": ")}`, true);
      this.#render();
    } else if (result.areas) this.#showMessage("Saved. The camera uses these areas from now on.");
  }

  async #revert() {
    const result = await this.#request(revertAreas(this.#camera.name));
    if (result.areas) this.#showMessage("Those of the configuration are restored. Undo shows yours again.");
  }

  async #request(request) {
    this.#isSaving = true;
    this.#render();
    const result = await request;
    this.#isSaving = false;
    if (result.error) this.#showMessage(result.error, true);
    if (result.areas) this.setAreas(result.areas, result.areas.saved);
    else this.#render();
    return result;
  }

  /** Copy the YAML. Browsers offer `navigator.clipboard` only over HTTPS and on localhost; else copy the selection. */
  async #copy() {
    const { yaml } = this.#panel;
    getSelection().selectAllChildren(yaml);
    try {
      await (navigator.clipboard ? navigator.clipboard.writeText(yaml.textContent) : copySelection(yaml.textContent));
      this.#copiedYaml = yaml.textContent;
      const place = `cameras.${this.#camera.name}`;
      this.#showMessage(`Copied. Paste it below ${place}, replacing zones, lines and ignore there.`);
    } catch {
      this.#showMessage("The browser refused to copy. The text is selected: press Ctrl+C.", true);
    }
  }
}

function copySelection(text) {
  const onCopy = (event) => {
    event.clipboardData.setData("text/plain", text); // the selection alone would lose the last newline
    event.preventDefault();
  };
  document.addEventListener("copy", onCopy, { once: true });
  if (document.execCommand("copy")) return;
  document.removeEventListener("copy", onCopy);
  throw new Error("not allowed");
}
