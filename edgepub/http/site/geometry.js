/**
 * Points, sides and polygons, without a page. The checks are those of edgepub/areas.py, in its words.
 *
 * A point is [x, y]: in fractions of the frame where it is kept and checked, in pixels where a hand is near it.
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
const LEAST_AREA = 1e-4;
const MOST_CORNERS = 100;
const PARTS = 1000; // of the frame, in which points are kept that are set by hand

/** Return why a zone cannot have this polygon, or null. */
export function polygonMistake(points) {
  if (!points.every(isInFrame)) return "a point is [x, y] in fractions of the frame, 0 to 1, not in pixels";
  if (points.length < 3) return "polygon needs at least 3 corners";
  if (crossesItself(points)) return "polygon crosses itself: list its corners in order around the zone";
  if (points.length > MOST_CORNERS) return `polygon has too many entries: ${points.length}, at most ${MOST_CORNERS} are allowed`;
  if (area(points) < LEAST_AREA) return "polygon has no area: its corners are on one line or too close together";
  return null;
}

/** Return why a line cannot go from one point to the other, or null. */
export function lineMistake(from, to) {
  if (![from, to].every(isInFrame)) return "a point is [x, y] in fractions of the frame, 0 to 1, not in pixels";
  if (from[0] === to[0] && from[1] === to[1]) return "from and to are the same point: give two";
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

/** Return the point in the frame that is nearest, in the parts in which points are kept. */
export function inFrame([x, y]) {
  return [x, y].map((each) => Math.round(Math.min(1, Math.max(0, each)) * PARTS) / PARTS);
}

/** Return the point in the frame, on its edge if it is within so many pixels of it. */
export function snapped([x, y], [width, height], pixels) {
  return inFrame([toEdge(x, pixels / width), toEdge(y, pixels / height)]);
}

/** Return the points moved together, as far as all of them stay in the frame. */
export function moved(points, dx, dy) {
  const within = (by, values) => Math.max(-Math.min(...values), Math.min(1 - Math.max(...values), by));
  const [byX, byY] = [within(dx, points.map(([x]) => x)), within(dy, points.map(([, y]) => y))];
  return points.map(([x, y]) => inFrame([x + byX, y + byY]));
}

/** Return the corners of the rectangle that has these two opposite ones, clockwise from the top left. */
export function rectangle([x1, y1], [x2, y2]) {
  const [left, right, top, bottom] = [Math.min(x1, x2), Math.max(x1, x2), Math.min(y1, y2), Math.max(y1, y2)];
  return [
    [left, top],
    [right, top],
    [right, bottom],
    [left, bottom],
  ];
}

/** Return the point between two. */
export function middle([x1, y1], [x2, y2]) {
  return [(x1 + x2) / 2, (y1 + y2) / 2];
}

/** Return how far two points are from each other. */
export function distance([x1, y1], [x2, y2]) {
  return Math.hypot(x2 - x1, y2 - y1);
}

/** Return how far a point is from the straight line between two others. */
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

/** Return the unit vectors of a line in pixels: along it, and to the left of one who looks along it. */
export function directions([from, to]) {
  const length = distance(from, to) || 1;
  const [x, y] = [(to[0] - from[0]) / length, (to[1] - from[1]) / length];
  return { along: [x, y], left: [y, -x] };
}

function isInFrame(point) {
  return point.every((each) => each >= 0 && each <= 1);
}

function toEdge(value, near) {
  if (value < near) return 0;
  return value > 1 - near ? 1 : value;
}

function crossesItself(points) {
  const all = sides(points);
  return all.some((side, number) =>
    all.slice(number + 2).some((other, more) => (number + 2 + more + 1) % all.length !== number && cross(side, other)),
  );
}

function cross([a, b], [c, d]) {
  return sideOf(a, b, c) * sideOf(a, b, d) < 0 && sideOf(c, d, a) * sideOf(c, d, b) < 0;
}

function sideOf(a, b, p) {
  return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]);
}
