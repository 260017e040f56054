/**
 * Points, sides and polygons. The checks are those of edgepub/config/areas.py, with the same messages.
 *
 * A point is [x, y]: in fractions of the frame for storing and checking, in pixels for distances to the pointer.
 */

export const ANCHORS = [
  "bottom_center",
  "bottom_left",
  "bottom_right",
  "center",
  "center_left",
  "center_right",
  "top_center",
  "top_left",
  "top_right",
];
const MIN_AREA = 1e-4;
const MAX_CORNERS = 100;
const STEPS = 1000; // drawn points are rounded to this fraction of the frame

/** Return what is wrong with a zone's polygon, or null. */
export function polygonMistake(points) {
  if (!points.every(isInFrame)) return "a point is [x, y] in fractions of the frame, 0 to 1, not in pixels";
  if (points.length < 3) return "polygon needs at least 3 corners";
  if (crossesItself(points)) return "polygon crosses itself: list its corners in order around it";
  if (points.length > MAX_CORNERS) {
    return `polygon has too many entries: ${points.length}, at most ${MAX_CORNERS} are allowed`;
  }
  if (area(points) < MIN_AREA) return "polygon has no area: its corners are on one line or too close together";
  return null;
}

/** Return what is wrong with a line between two points, or null. */
export function lineMistake(from, to) {
  if (![from, to].every(isInFrame)) return "a point is [x, y] in fractions of the frame, 0 to 1, not in pixels";
  if (from[0] === to[0] && from[1] === to[1]) return "from and to are the same point: set two different points";
  return null;
}

/** Return the area of a polygon by the shoelace formula. */
export function area(points) {
  const sum = sides(points).reduce((total, [[x1, y1], [x2, y2]]) => total + (x1 * y2 - x2 * y1), 0);
  return Math.abs(sum) / 2;
}

/** Return the sides of a polygon, each from a corner to the next. */
export function sides(points) {
  return points.map((point, index) => [point, points[(index + 1) % points.length]]);
}

/** Return the nearest point in the frame, rounded. */
export function inFrame([x, y]) {
  return [x, y].map((value) => Math.round(Math.min(1, Math.max(0, value)) * STEPS) / STEPS);
}

/** Return the nearest point in the frame; if it is within `pixels` of the edge, a point on the edge. */
export function snapped([x, y], [width, height], pixels) {
  return inFrame([toEdge(x, pixels / width), toEdge(y, pixels / height)]);
}

/** Return the points moved together, only so far that all of them stay in the frame. */
export function moved(points, dx, dy) {
  const within = (by, values) => Math.max(-Math.min(...values), Math.min(1 - Math.max(...values), by));
  const [byX, byY] = [within(dx, points.map(([x]) => x)), within(dy, points.map(([, y]) => y))];
  return points.map(([x, y]) => inFrame([x + byX, y + byY]));
}

/** Return the four corners of a rectangle, given two opposite ones: clockwise from the top left. */
export function rectangle([x1, y1], [x2, y2]) {
  const [left, right, top, bottom] = [Math.min(x1, x2), Math.max(x1, x2), Math.min(y1, y2), Math.max(y1, y2)];
  return [
    [left, top],
    [right, top],
    [right, bottom],
    [left, bottom],
  ];
}

/** Return the midpoint of two points. */
export function middle([x1, y1], [x2, y2]) {
  return [(x1 + x2) / 2, (y1 + y2) / 2];
}

/** Return the distance between two points. */
export function distance([x1, y1], [x2, y2]) {
  return Math.hypot(x2 - x1, y2 - y1);
}

/** Return the distance of a point from the segment between two others. */
export function distanceToSide(point, [from, to]) {
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
  const along = ((point[0] - from[0]) * dx + (point[1] - from[1]) * dy) / (dx * dx + dy * dy || 1);
  const part = Math.max(0, Math.min(1, along));
  return distance(point, [from[0] + part * dx, from[1] + part * dy]);
}

/** Return whether a point is inside a polygon. */
export function isInside([x, y], points) {
  const isLeftOf = ([[x1, y1], [x2, y2]]) => y1 > y !== y2 > y && x < x1 + ((y - y1) / (y2 - y1)) * (x2 - x1);
  return sides(points).filter(isLeftOf).length % 2 === 1;
}

/** Return two unit vectors of a line in pixels: along it, and to its left when looking along it. */
export function directions([from, to]) {
  const length = distance(from, to) || 1;
  const [x, y] = [(to[0] - from[0]) / length, (to[1] - from[1]) / length];
  return { along: [x, y], left: [y, -x] };
}

function isInFrame(point) {
  return point.every((value) => value >= 0 && value <= 1);
}

function toEdge(value, near) {
  if (value < near) return 0;
  return value > 1 - near ? 1 : value;
}

function crossesItself(points) {
  const all = sides(points);
  return all.some((side, index) =>
    all.slice(index + 2).some((other, offset) => {
      const isNeighbour = (index + 2 + offset + 1) % all.length === index;
      return !isNeighbour && intersect(side, other);
    }),
  );
}

function intersect([a, b], [c, d]) {
  return sideOf(a, b, c) * sideOf(a, b, d) < 0 && sideOf(c, d, a) * sideOf(c, d, b) < 0;
}

function sideOf(a, b, p) {
  return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]);
}
