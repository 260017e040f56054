/** The zones and lines on the table: what is changed, what the server has, and the way back. */

import { ANCHORS, lineMistake, polygonMistake } from "./geometry.js";

const NAME = /^[a-z0-9_-]{1,64}$/;
const PAUSE_MS = 1000; // changes of one kind that follow each other sooner are undone together

/**
 * @typedef {{id: number, kind: "zone"|"line", name: string, points: number[][], labels: string[]|null,
 *   anchor: string}} Item It is never changed, only replaced.
 */
export class Plan {
  /** @type {Item[]} */
  items = [];
  #past = [];
  #future = [];
  #servers = areasOf([]);
  #kind = null;
  #changedAt = 0;
  #lastId = 0;

  /** The areas in the configuration's form. */
  get areas() {
    return areasOf(this.items);
  }

  /** Whether they differ from the server's. */
  get isChanged() {
    return !isSame(this.areas, this.#servers);
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }

  /** Return the item with this id, if there is one. */
  item(id) {
    return this.items.find((each) => each.id === id);
  }

  /** Put an item in, under a name that is free, and return its id. */
  add(kind, points) {
    const item = { id: ++this.#lastId, kind, name: this.#freeName(kind), points, labels: null, anchor: ANCHORS[0] };
    this.#become([...this.items, item]);
    return item.id;
  }

  /**
   * Change some keys of an item.
   *
   * @param {string|null} gesture changes of one gesture that follow each other soon are undone together;
   *   those of one whose name begins with `drag`, however long it takes.
   */
  change(id, keys, gesture = null) {
    this.#become(
      this.items.map((each) => (each.id === id ? { ...each, ...keys } : each)),
      gesture,
    );
  }

  remove(id) {
    this.#become(this.items.filter((each) => each.id !== id));
  }

  undo() {
    this.#step(this.#past, this.#future);
  }

  redo() {
    this.#step(this.#future, this.#past);
  }

  /** Take a gesture back, as if it had not been. */
  forget(gesture) {
    if (this.#kind === gesture && this.canUndo) {
      this.undo();
      this.#future = [];
    }
  }

  /**
   * Take what the server has; what is changed here and not saved stays. Return whether that is in the way of somebody else's: not of
   * what was `sent` from here.
   */
  receive(areas, sent) {
    const servers = areasOf(itemsOf(areas));
    const known = [this.#servers, this.areas, sent];
    const isOvertaken = this.isChanged && !known.some((each) => isSame(servers, each));
    const wasChanged = this.isChanged;
    this.#servers = servers;
    if (!wasChanged) this.discard();
    return isOvertaken;
  }

  /** Go back to what the server has; it can be undone. */
  discard() {
    if (!this.isChanged) return;
    const idOf = (kind, name) => this.items.find((each) => each.kind === kind && each.name === name)?.id;
    const isFirst = !this.items.length && !this.canUndo;
    this.#become(itemsOf(this.#servers).map((each) => ({ ...each, id: idOf(each.kind, each.name) ?? ++this.#lastId })));
    if (isFirst) this.#past = [];
  }

  /** Return what is wrong, by the item's id: lines for the user. */
  mistakes(camera) {
    return new Map(this.items.map((each) => [each.id, this.#mistakesOf(each, camera)]));
  }

  #mistakesOf(item, { labels, tracking }) {
    const others = this.items.filter((each) => each !== item && each.kind === item.kind);
    const strange = labels && item.labels?.find((each) => !labels.includes(each));
    return [
      !NAME.test(item.name) && "a name has 1 to 64 characters of a-z, 0-9, '_' and '-'",
      others.some(({ name }) => name === item.name) && `there is another ${item.kind} with this name`,
      item.kind === "zone" ? polygonMistake(item.points) : lineMistake(...item.points),
      strange && `'${strange}' is not one of the camera's labels`,
      item.kind === "line" && tracking === false && "lines need tracking: set it to true in the configuration",
    ].filter(Boolean);
  }

  #become(items, gesture = null) {
    const now = Date.now();
    const goesOn = gesture !== null && gesture === this.#kind;
    if (!goesOn || (!gesture.startsWith("drag") && now - this.#changedAt > PAUSE_MS)) this.#past.push(this.items);
    [this.#kind, this.#changedAt, this.#future, this.items] = [gesture, now, [], items];
  }

  #step(from, to) {
    if (!from.length) return;
    to.push(this.items);
    this.items = from.pop();
    this.#kind = null;
  }

  #freeName(kind) {
    const taken = new Set(this.items.filter((each) => each.kind === kind).map(({ name }) => name));
    let number = 1;
    while (taken.has(`${kind}-${number}`)) number += 1;
    return `${kind}-${number}`;
  }
}

function itemsOf({ zones, lines }) {
  const shared = ({ labels, anchor }) => ({ labels: labels ?? null, anchor: anchor ?? ANCHORS[0] });
  return [
    ...Object.entries(zones).map(([name, zone]) => ({ kind: "zone", name, points: zone.polygon, ...shared(zone) })),
    ...Object.entries(lines).map(([name, line]) => {
      return { kind: "line", name, points: [line.from, line.to], ...shared(line) };
    }),
  ];
}

/** Object.fromEntries and not an assignment: `__proto__` is a name as any other. */
function areasOf(items) {
  const ofKind = (kind, form) =>
    Object.fromEntries(items.filter((each) => each.kind === kind).map((each) => [each.name, form(each)]));
  const shared = ({ labels, anchor }) => ({ labels, anchor });
  return {
    zones: ofKind("zone", (zone) => ({ polygon: zone.points, ...shared(zone) })),
    lines: ofKind("line", (line) => ({ from: line.points[0], to: line.points[1], ...shared(line) })),
  };
}

function isSame(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}
