/** The form for one zone, line or ignore area: name, labels, anchor. */

import { KINDS } from "./area_kinds.js";
import { html, setAttributes, setText } from "./elements.js";
import { ANCHORS } from "./geometry.js";

export class AreaForm {
  #state;
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
    class: "pending",
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
    { id: "area-anchor", change: () => this.#state.change({ anchor: this.#anchor.value }) },
    ...ANCHORS.map((anchor) => html("option", { value: anchor }, anchor.replace("_", " "))),
  );
  #loitering = html("input", {
    ...{ id: "area-loitering", type: "number", min: "0.1", max: "86400", step: "any", placeholder: "never" },
    change: () => this.#setLoitering(),
  });

  constructor(state, item) {
    [this.#state, this.#id] = [state, item.id];
    const { condition } = KINDS[item.kind];
    const attributes = { type: "button", id: "reverse-line", click: () => this.#reverse() };
    const reverse = html("button", attributes, "Reverse direction");
    this.element = html(
      "div",
      { class: "form" },
      html("div", { class: "row" }, html("label", { for: "area-name" }, "Name"), this.#name),
      this.#mistake,
      html("fieldset", {}, html("legend", {}, "Labels"), this.#labels, this.#all, this.#adding),
      html("div", { class: "row" }, html("label", { for: "area-anchor" }, "Anchor"), this.#anchor),
      html("p", { class: "note" }, `The point of an object's box that must ${condition}.`),
      ...(item.kind === "line" ? [html("div", { class: "row" }, reverse)] : []),
      ...(item.kind === "zone"
        ? [
            html("div", { class: "row" }, html("label", { for: "area-loitering" }, "Loitering after (s)"), this.#loitering),
            html("p", { class: "note" }, "How long an object must stay in the zone to be reported as loitering."),
          ]
        : []),
    );
  }

  /** Focus the name, with its text selected. */
  focus() {
    this.#name.focus({ preventScroll: true });
    this.#name.select();
  }

  /** Scroll to the form and focus the name. */
  show() {
    this.element.scrollIntoView({ block: "center" });
    this.focus();
  }

  /** Show the item. */
  render({ camera, known, mistakes }) {
    const item = this.#state.edited.item(this.#id);
    if (this.#name.value !== item.name) this.#name.value = item.name;
    this.#anchor.value = item.anchor;
    this.#loitering.value = item.loitering_s ?? "";
    const itemMistakes = mistakes.get(item.id);
    setText(this.#mistake, itemMistakes.join("; "));
    const isInvalid = itemMistakes.some((mistake) => mistake.includes("name"));
    setAttributes(this.#name, { "aria-invalid": isInvalid ? "true" : null });
    this.#renderLabels([...new Set([...(camera.labels ?? known), ...(item.labels ?? [])])], item);
    const all = camera.labels ? "None checked means all labels of the camera." : "None checked means all labels.";
    setText(this.#all, item.labels ? "" : all);
    this.#adding.hidden = camera.labels !== null && camera.labels !== undefined;
  }

  #setLoitering() {
    const seconds = this.#loitering.valueAsNumber;
    if (!(seconds > 0 && seconds <= 86400)) this.#loitering.value = "";
    this.#state.change({ loitering_s: this.#loitering.valueAsNumber || null });
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
    const others = (this.#state.edited.item(this.#id).labels ?? []).filter((other) => other !== label);
    const labels = isChecked ? [...others, label] : others;
    this.#state.change({ labels: labels.length ? labels : null });
  }

  #addOther() {
    const label = this.#other.value.trim();
    if (!label) return;
    this.#other.value = "";
    this.#check(label, true);
  }

  /** Convert capitals and spaces instead of refusing them. */
  #rename() {
    const { selectionStart } = this.#name;
    const name = this.#name.value.toLowerCase().replace(/\s/g, "-");
    if (this.#name.value !== name) {
      this.#name.value = name;
      this.#name.setSelectionRange(selectionStart, selectionStart);
    }
    this.#state.change({ name }, `name ${this.#id}`);
  }

  #reverse() {
    this.#state.change({ points: this.#state.edited.item(this.#id).points.toReversed() });
  }
}
