/** The form of one zone or line: its name, its labels, its anchor. */

import { html, say, set } from "./elements.js";
import { ANCHORS } from "./geometry.js";

export class Form {
  #desk;
  #id;
  #name = html("input", {
    id: "area-name",
    type: "text",
    maxlength: 64,
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    "aria-describedby": "area-mistake",
    input: () => this.#rename(),
  });
  #mistake = html("p", { id: "area-mistake", class: "mistake", role: "alert" });
  #labels = html("div", { class: "labels" });
  #all = html("p", { class: "note" });
  #other = html("input", {
    id: "other-label",
    type: "text",
    class: "unplanned",
    maxlength: 200,
    autocomplete: "off",
    autocapitalize: "off",
    keydown: (event) => event.key === "Enter" && !event.isComposing && this.#addOther(),
    change: () => this.#addOther(),
  });
  #adding = html(
    "div",
    { class: "row" },
    html("label", { for: "other-label" }, "Other"),
    this.#other,
    html("button", { type: "button", id: "add-label", click: () => this.#addOther() }, "Add"),
  );
  #anchor = html(
    "select",
    { id: "area-anchor", change: () => this.#desk.change({ anchor: this.#anchor.value }) },
    ...ANCHORS.map((anchor) => html("option", { value: anchor }, anchor.replace("_", " "))),
  );

  constructor(desk, item) {
    [this.#desk, this.#id] = [desk, item.id];
    const does = item.kind === "zone" ? "is in" : "crosses";
    const turn = html("button", { type: "button", id: "turn-line", click: () => this.#turn() }, "Turn round");
    this.element = html(
      "div",
      { class: "form" },
      html("div", { class: "row" }, html("label", { for: "area-name" }, "Name"), this.#name),
      this.#mistake,
      html("fieldset", {}, html("legend", {}, "Labels"), this.#labels, this.#all, this.#adding),
      html("div", { class: "row" }, html("label", { for: "area-anchor" }, "Anchor"), this.#anchor),
      html("p", { class: "note" }, `The point of an object's box that ${does} it.`),
      ...(item.kind === "line" ? [html("div", { class: "row" }, turn)] : []),
    );
  }

  /** Let the user type the name. */
  focus() {
    this.#name.focus({ preventScroll: true });
    this.#name.select();
  }

  /** Bring it into sight, ready for the name. */
  show() {
    this.element.scrollIntoView({ block: "center" });
    this.focus();
  }

  /** Show how the item is now. */
  render({ camera, known, mistakes }) {
    const item = this.#desk.plan.item(this.#id);
    if (this.#name.value !== item.name) this.#name.value = item.name;
    this.#anchor.value = item.anchor;
    const wrong = mistakes.get(item.id);
    say(this.#mistake, wrong.join("; "));
    set(this.#name, { "aria-invalid": wrong.some((each) => each.includes("name")) ? "true" : null });
    this.#renderLabels([...new Set([...(camera.labels ?? known), ...(item.labels ?? [])])], item);
    const all = camera.labels ? "None checked: all of the camera's." : "None checked: all.";
    say(this.#all, item.labels ? "" : all);
    this.#adding.hidden = camera.labels !== null && camera.labels !== undefined;
  }

  #renderLabels(labels, item) {
    const shown = [...this.#labels.querySelectorAll("input")];
    if (JSON.stringify(shown.map(({ value }) => value)) !== JSON.stringify(labels)) {
      this.#labels.replaceChildren(...labels.map((label) => this.#checkbox(label)));
    }
    for (const box of this.#labels.querySelectorAll("input")) box.checked = item.labels?.includes(box.value) ?? false;
  }

  #checkbox(label) {
    const box = html("input", { type: "checkbox", change: () => this.#check(label, box.checked) });
    box.value = label;
    return html("label", {}, box, label);
  }

  #check(label, isChecked) {
    const others = (this.#desk.plan.item(this.#id).labels ?? []).filter((each) => each !== label);
    const labels = isChecked ? [...others, label] : others;
    this.#desk.change({ labels: labels.length ? labels : null });
  }

  #addOther() {
    const label = this.#other.value.trim();
    if (!label) return;
    this.#other.value = "";
    this.#check(label, true);
  }

  /** Forgiving: capitals and spaces are no reason to complain. */
  #rename() {
    const { selectionStart } = this.#name;
    const name = this.#name.value.toLowerCase().replace(/\s/g, "-");
    if (this.#name.value !== name) {
      this.#name.value = name;
      this.#name.setSelectionRange(selectionStart, selectionStart);
    }
    this.#desk.change({ name }, `name ${this.#id}`);
  }

  #turn() {
    this.#desk.change({ points: this.#desk.plan.item(this.#id).points.toReversed() });
  }
}
