/** The recent path of each track, in fractions of the frame. */

const KEPT_S = 2;

export class TrackPaths {
  #paths = new Map();

  /**
   * Add the positions of a frame's objects.
   * @param {{timestamp: number, detections: object[]}} frame
   */
  add({ timestamp, detections }) {
    for (const { track_id: track, label, bbox_norm: box } of detections) {
      if (track === undefined) continue;
      const path = this.#paths.get(track) ?? { label, points: [] };
      path.label = label;
      path.points.push({ at: timestamp, x: (box[0] + box[2]) / 2, y: box[3] });
      this.#paths.set(track, path);
    }
    for (const [track, path] of this.#paths) {
      // `<=`: if the clock was set back, older points lie in the future and would stay.
      path.points = path.points.filter(({ at }) => at <= timestamp && at > timestamp - KEPT_S);
      if (!path.points.length) this.#paths.delete(track);
    }
  }

  /**
   * The paths, oldest point first.
   * @returns {{label: string, points: {x: number, y: number}[]}[]}
   */
  get all() {
    return Array.from(this.#paths.values());
  }
}
