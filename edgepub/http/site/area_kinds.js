/** The kinds of areas that are drawn: zones, lines and ignore areas. All but lines are polygons. */

/** @typedef {"zone"|"line"|"ignore"} Kind */

/** By kind: the key in the configuration, the name, the fewest points, and what an object's anchor does there. */
export const KINDS = {
  zone: { key: "zones", word: "zone", minPoints: 3, needs: "3 corners", condition: "be in the zone" },
  line: { key: "lines", word: "line", minPoints: 2, needs: "two ends", condition: "cross the line" },
  ignore: { key: "ignore", word: "ignore area", minPoints: 3, needs: "3 corners", condition: "be in the area. The object is then not shown, counted or published" },
};

/** Return whether areas of a kind have corners and an inside. */
export function isPolygon(kind) {
  return kind !== "line";
}
