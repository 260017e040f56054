/** Zones, lines and ignore areas as YAML that parsers of YAML 1.1 and of 1.2 read as the same values. */

const PLAIN = /^[\p{L}_](?:[\p{L}0-9_ -]*[\p{L}0-9_-])?$/u;
const NOT_A_STRING = /^(?:y|n|yes|no|true|false|on|off|null|nan|inf)$/i; // to some parsers
const INVISIBLE = /[\p{C}\p{Z}]/gu;

/**
 * Return the text to paste below `cameras.<camera>` in the configuration; empty if there is nothing.
 *
 * @param {{zones: Object, lines: Object, ignore: Object}} areas in the format of the configuration.
 */
export function areasYaml({ zones, lines, ignore }) {
  const all = [
    ...section("zones", zones, polygonKeys),
    ...section("lines", lines, lineKeys),
    ...section("ignore", ignore, polygonKeys),
  ];
  return all.map((line) => `${line}\n`).join("");
}

/** Return a string as YAML, in quotes if a parser could read it as something else. */
export function scalar(text) {
  if (PLAIN.test(text) && !NOT_A_STRING.test(text)) return text;
  return `"${text.replace(/[\\"]/g, "\\$&").replace(INVISIBLE, escape)}"`;
}

function section(key, areas, keysOf) {
  const entries = Object.entries(areas);
  if (!entries.length) return [];
  const lines = entries.flatMap(([name, area]) => [
    `      ${scalar(name)}:`,
    ...[...keysOf(area), ...sharedKeys(area)].map((line) => `        ${line}`),
  ]);
  return [`    ${key}:`, ...lines];
}

function polygonKeys({ polygon }) {
  return [`polygon: [${polygon.map(point).join(", ")}]`];
}

function lineKeys({ from, to }) {
  return [`from: ${point(from)}`, `to: ${point(to)}`];
}

function sharedKeys({ labels, anchor, loitering_s }) {
  return [
    ...(labels ? [`labels: [${labels.map(scalar).join(", ")}]`] : []),
    ...(anchor && anchor !== "bottom_center" ? [`anchor: ${anchor}`] : []),
    ...(loitering_s ? [`loitering_s: ${number(loitering_s)}`] : []),
  ];
}

function point([x, y]) {
  return `[${number(x)}, ${number(y)}]`;
}

/** YAML 1.1 reads `1e-7` as a string: a number needs a point before its exponent. */
function number(value) {
  return String(value).replace(/^(-?\d+)e/, "$1.0e");
}

function escape(character) {
  if (character === " ") return character;
  const code = character.codePointAt(0);
  return code > 0xffff ? `\\U${code.toString(16).padStart(8, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
}
