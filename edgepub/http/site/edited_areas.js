/** The zones, lines and ignore areas as edited, those of the server, and the history for undo and redo. */

import { KINDS, isPolygon } from "./area_kinds.js";
import { ANCHORS, lineMistake, polygonMistake } from "./geometry.js";

const NAME = /^[a-z0-9_-]{1,64}$/;
const MERGE_MS = 1000; // changes of one gesture within this time are undone together

/**
 * @typedef {{id: number, kind: import("./area_kinds.js").Kind, name: string, points: number[][],
 *   labels: string[]|null, anchor: string, loitering_s: number|null}} Item It is replaced, never modified. Only a zone
 *   has a `loitering_s`.
 */
export class EditedAreas {
  /** @type {Item[]} */
  items = [];
  #past = [];
  #future = [];
  #serverAreas = toConfig([]);
  #gesture = null;
  #changedAt = 0;
  #lastId = 0;

  /** All of them in the format of the configuration. */
  get config() {
    return toConfig(this.items);
  }

  /** Whether they differ from the server's. */
  get isChanged() {
    return !isSame(this.config, this.#serverAreas);
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }

  /** Return the item with this id; undefined if there is none. */
  item(id) {
    return this.items.find((item) => item.id === id);
  }

  /** Add an item under an unused name. Return its id. */
  add(kind, points) {
    const own = { labels: null, anchor: ANCHORS[0], loitering_s: null };
    const item = { id: ++this.#lastId, kind, name: this.#freeName(kind), points, ...own };
    this.#replaceItems([...this.items, item]);
    return item.id;
  }

  /**
   * Change some keys of an item.
   *
   * @param {string|null} gesture changes of one gesture in quick succession are undone together. If its name starts
   *   with `drag`, the time between them does not matter.
   */
  change(id, keys, gesture = null) {
    this.#replaceItems(
      this.items.map((item) => (item.id === id ? { ...item, ...keys } : item)),
      gesture,
    );
  }

  remove(id) {
    this.#replaceItems(this.items.filter((item) => item.id !== id));
  }

  undo() {
    this.#step(this.#past, this.#future);
  }

  redo() {
    this.#step(this.#future, this.#past);
  }

  /** Undo a gesture so that it cannot be redone. */
  cancelGesture(gesture) {
    if (this.#gesture === gesture && this.canUndo) {
      this.undo();
      this.#future = [];
    }
  }

  /**
   * Set the server's areas; unsaved changes stay. Return whether unsaved changes conflict with a change made elsewhere,
   * which is not what was `sent` from here.
   */
  setServerAreas(areas, sent) {
    const serverAreas = toConfig(toItems(areas));
    const expected = [this.#serverAreas, this.config, sent];
    const hasConflict = this.isChanged && !expected.some((config) => isSame(serverAreas, config));
    const wasChanged = this.isChanged;
    this.#serverAreas = serverAreas;
    if (!wasChanged) this.discard();
    return hasConflict;
  }

  /** Restore the server's areas. This can be undone. */
  discard() {
    if (!this.isChanged) return;
    const idOf = (kind, name) => this.items.find((item) => item.kind === kind && item.name === name)?.id;
    const isFirst = !this.items.length && !this.canUndo;
    const withId = (item) => ({ ...item, id: idOf(item.kind, item.name) ?? ++this.#lastId });
    this.#replaceItems(toItems(this.#serverAreas).map(withId));
    if (isFirst) this.#past = [];
  }

  /** Return the mistakes by item id, as lines of text. */
  mistakes(camera) {
    return new Map(this.items.map((item) => [item.id, this.#mistakesOf(item, camera)]));
  }

  #mistakesOf(item, { labels, tracking }) {
    const others = this.items.filter((other) => other !== item && other.kind === item.kind);
    const unknown = labels && item.labels?.find((label) => !labels.includes(label));
    return [
      !NAME.test(item.name) && "the name must have 1 to 64 characters of a-z, 0-9, '_' and '-'",
      others.some(({ name }) => name === item.name) && `there is another ${KINDS[item.kind].word} with this name`,
      isPolygon(item.kind) ? polygonMistake(item.points) : lineMistake(...item.points),
      unknown && `'${unknown}' is not one of the camera's labels`,
      item.kind === "line" && tracking === false && "lines need tracking: set it to true in the configuration",
      item.loitering_s && tracking === false && "loitering needs tracking: set it to true in the configuration",
    ].filter(Boolean);
  }

  #replaceItems(items, gesture = null) {
    const now = Date.now();
    const isSameGesture = gesture !== null && gesture === this.#gesture;
    const isMerged = isSameGesture && (gesture.startsWith("drag") || now - this.#changedAt <= MERGE_MS);
    if (!isMerged) this.#past.push(this.items);
    [this.#gesture, this.#changedAt, this.#future, this.items] = [gesture, now, [], items];
  }

  #step(from, to) {
    if (!from.length) return;
    to.push(this.items);
    this.items = from.pop();
    this.#gesture = null;
  }

  #freeName(kind) {
    const taken = new Set(this.items.filter((item) => item.kind === kind).map(({ name }) => name));
    let number = 1;
    while (taken.has(`${kind}-${number}`)) number += 1;
    return `${kind}-${number}`;
  }
}

function toItems({ zones, lines, ignore }) {
  const shared = ({ labels, anchor, loitering_s }) => {
    return { labels: labels ?? null, anchor: anchor ?? ANCHORS[0], loitering_s: loitering_s ?? null };
  };
  const polygons = (kind, areas) =>
    Object.entries(areas).map(([name, area]) => ({ kind, name, points: area.polygon, ...shared(area) }));
  return [
    ...polygons("zone", zones),
    ...Object.entries(lines).map(([name, line]) => {
      return { kind: "line", name, points: [line.from, line.to], ...shared(line) };
    }),
    ...polygons("ignore", ignore),
  ];
}

/** Uses Object.fromEntries and no assignments, because `__proto__` is a valid name. */
function toConfig(items) {
  const ofKind = (kind, convert) =>
    Object.fromEntries(items.filter((item) => item.kind === kind).map((item) => [item.name, convert(item)]));
  const shared = ({ labels, anchor, loitering_s }) => {
    return { labels, anchor, ...(loitering_s === null ? {} : { loitering_s }) };
  };
  const polygon = (item) => ({ polygon: item.points, ...shared(item) });
  return {
    zones: ofKind("zone", polygon),
    lines: ofKind("line", (line) => ({ from: line.points[0], to: line.points[1], ...shared(line) })),
    ignore: ofKind("ignore", polygon),
  };
}

function isSame(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}
