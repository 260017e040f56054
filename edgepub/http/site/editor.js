/** Zones and lines: drawn on the picture, named beside it, saved by the server or pasted into the configuration. */

import { Desk } from "./editor_desk.js";
import { Drawing } from "./editor_drawing.js";
import { Keys } from "./editor_keys.js";
import { Panel } from "./editor_panel.js";
import { Pointer } from "./editor_pointer.js";
import * as server from "./editor_saving.js";
import { areasYaml } from "./yaml.js";

const OVERTAKEN = "Meanwhile they were changed elsewhere. Save puts yours in their place; Discard changes shows them.";
const NOT_YET = "Not yet saved.";
const OVERRIDE = "Saved on this page: these stand in place of the configuration's.";

export class Editor {
  #svg;
  #desk;
  #drawing;
  #panel;
  #pointer;
  #say;
  #camera = { name: "", labels: null, may_edit: false, why_not: null, tracking: true };
  #known = [];
  #isSaved = false;
  #isSaving = false;
  #isOvertaken = false;
  #sent = null;
  #copied = "";
  #isKnown = false;
  #waiting = null; // areas that came while a hand was at work
  #refused = { areas: "", mistakes: [] }; // what the server said of which areas

  /**
   * @param {Object} parts
   * @param {SVGSVGElement} parts.svg the overlay, above the picture.
   * @param {SVGGElement} parts.group in it, which is the editor's alone.
   * @param {HTMLElement} parts.panel whose inside is the editor's.
   * @param {(text: string, isError?: boolean) => void} parts.say is given a line for the user.
   */
  constructor({ svg, group, panel, say }) {
    [this.#svg, this.#say] = [svg, say];
    this.#desk = new Desk(() => this.#render(), say);
    this.#drawing = new Drawing(group);
    this.#panel = new Panel(panel, this.#desk, {
      draw: (kind) => this.#draw(kind),
      close: () => this.#desk.close() && this.#drawn(matchMedia("(pointer: coarse)").matches),
      cancel: () => this.#cancel(),
      done: () => this.#leave(),
      save: () => this.#save(),
      revert: () => this.#revert(),
      copy: () => this.#copy(),
    });
    const focus = {
      corner: (index) => this.#drawing.focusCorner(index),
      item: (id) => this.#drawing.focusItem(id),
      drawn: (isTouch) => this.#drawn(isTouch),
      cancelled: () => this.#cancel(),
      none: () => this.#leave(),
    };
    this.#pointer = new Pointer(svg, this.#desk, this.#drawing, focus);
    new Keys(svg, panel, this.#desk, this.#pointer, focus);
    addEventListener("beforeunload", (event) => {
      const isTaken = !this.#camera.may_edit && this.#panel.yaml.textContent === this.#copied;
      if (this.isChanged && !isTaken) event.preventDefault();
    });
    this.#render();
  }

  /** The zones and lines as they are drawn now, in the configuration's form. */
  get areas() {
    return this.#desk.plan.areas;
  }

  /** Whether there is something drawn that the server does not have. */
  get isChanged() {
    return this.#desk.plan.isChanged || Boolean(this.#desk.draft?.points.length);
  }

  /** Take what the server says of the camera. */
  setCamera(camera) {
    this.#camera = { ...this.#camera, ...camera };
    this.#render();
  }

  /** Take the server's areas; what is changed here and not saved stays. */
  setAreas(areas, saved) {
    this.#waiting = { areas, saved };
    this.#render();
  }

  /** Take the labels that can be chosen, beside those that are named already. */
  setKnownLabels(labels) {
    this.#known = [...labels].sort();
    this.#render();
  }

  /** Take the size of the picture on the page, in its pixels. */
  resize(width, height) {
    this.#desk.size = [width || 1, height || 1];
    this.#render();
  }

  #render() {
    if (this.#waiting && !this.#pointer?.isBusy) this.#receive();
    const mistakes = this.#mistakes();
    const { plan, draft, selected } = this.#desk;
    this.#svg.classList.toggle("drawing", draft !== null);
    this.#svg.classList.toggle("editing", draft !== null || selected !== null);
    this.#drawing.render(this.#desk, mistakes);
    this.#isOvertaken &&= plan.isChanged;
    this.#panel.render({
      camera: this.#camera,
      known: this.#known,
      mistakes,
      yaml: areasYaml(plan.areas),
      isSaved: this.#isSaved,
      isBusy: this.#pointer?.isBusy ?? false,
      isSaving: this.#isSaving,
      isKnown: this.#isKnown,
      note: this.#note(),
    });
  }

  #note() {
    if (this.#isOvertaken) return OVERTAKEN;
    if (this.#desk.plan.isChanged) return this.#camera.may_edit ? NOT_YET : "";
    return this.#isSaved ? OVERRIDE : "";
  }

  #receive() {
    const { areas, saved } = this.#waiting;
    this.#isKnown = true;
    this.#waiting = null;
    this.#isSaved = saved;
    const isOvertaken = this.#desk.receive(areas, this.#sent);
    this.#isOvertaken ||= isOvertaken;
  }

  /** Our own checks, and the server's as long as nothing was changed since. */
  #mistakes() {
    const { plan } = this.#desk;
    const mistakes = plan.mistakes(this.#camera);
    if (this.#refused.areas !== JSON.stringify(plan.areas)) return mistakes;
    for (const { id, kind, name } of plan.items) {
      const its = this.#refused.mistakes.filter(({ place }) => place[0] === `${kind}s` && place[1] === name);
      const lines = its.map(({ why }) => why);
      mistakes.set(id, [...new Set([...mistakes.get(id), ...lines])]);
    }
    return mistakes;
  }

  #draw(kind) {
    this.#desk.draw(kind);
    this.#svg.scrollIntoView({ block: "nearest" });
    this.#drawing.focusPaper();
  }

  #cancel() {
    this.#desk.cancel();
    this.#panel.focusRow(null);
  }

  /** A name is wanted next; a finger would get a keyboard over half of its picture. */
  #drawn(isTouch) {
    if (!isTouch) this.#panel.focusName();
  }

  #leave() {
    const { selected } = this.#desk;
    this.#desk.select(null);
    this.#panel.focusRow(selected);
  }

  async #save() {
    const { areas } = this;
    this.#sent = areas;
    const answer = await this.#asked(server.save(this.#camera.name, areas));
    if (answer.mistakes) {
      this.#refused = { areas: JSON.stringify(areas), mistakes: answer.mistakes };
      const [{ place, why }] = answer.mistakes;
      this.#say(`Not saved: ${[place.join("."), why].filter(Boolean).join(": ")}`, true);
      this.#render();
    } else if (answer.areas) this.#say("Saved: the camera goes by it from now on.");
  }

  async #revert() {
    const answer = await this.#asked(server.revert(this.#camera.name));
    if (answer.areas) this.#say("The configuration's zones and lines are back; Undo shows yours again.");
  }

  async #asked(asking) {
    this.#isSaving = true;
    this.#render();
    const answer = await asking;
    this.#isSaving = false;
    if (answer.error) this.#say(answer.error, true);
    if (answer.areas) this.setAreas(answer.areas, answer.areas.saved);
    else this.#render();
    return answer;
  }

  /** A page that comes by plain HTTP from another machine has no clipboard but the one of the selection. */
  async #copy() {
    const { yaml } = this.#panel;
    getSelection().selectAllChildren(yaml);
    try {
      await (navigator.clipboard ? navigator.clipboard.writeText(yaml.textContent) : copyTheOldWay(yaml.textContent));
      this.#copied = yaml.textContent;
      this.#say(`Copied: paste it below cameras.${this.#camera.name}, in place of the zones and lines that are there.`);
    } catch {
      this.#say("The browser does not let the page copy: it is selected, press Ctrl+C.", true);
    }
  }
}

function copyTheOldWay(text) {
  const give = (event) => {
    event.clipboardData.setData("text/plain", text); // the selection itself would lose its last line's end
    event.preventDefault();
  };
  document.addEventListener("copy", give, { once: true });
  if (document.execCommand("copy")) return;
  document.removeEventListener("copy", give);
  throw new Error("not allowed");
}
