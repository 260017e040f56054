/** Where the tracks have been of late: pure, of fractions of the frame. */

const KEPT_S = 2;

export class Trails {
  #trails = new Map();

  /**
   * Take up where the objects of a frame stand.
   * @param {{timestamp: number, detections: object[]}} frame
   */
  add({ timestamp, detections }) {
    for (const { track_id: track, label, bbox_norm: box } of detections) {
      if (track === undefined) continue;
      const trail = this.#trails.get(track) ?? { label, points: [] };
      trail.label = label;
      trail.points.push({ at: timestamp, x: (box[0] + box[2]) / 2, y: box[3] });
      this.#trails.set(track, trail);
    }
    for (const [track, trail] of this.#trails) {
      // A clock that was set back would keep what is of the future.
      trail.points = trail.points.filter(({ at }) => at <= timestamp && at > timestamp - KEPT_S);
      if (!trail.points.length) this.#trails.delete(track);
    }
  }

  /**
   * The trails, oldest point first.
   * @returns {{label: string, points: {x: number, y: number}[]}[]}
   */
  get all() {
    return Array.from(this.#trails.values());
  }
}
