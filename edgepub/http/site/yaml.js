/** Zones and lines as YAML, which any reader of YAML 1.1 or 1.2 takes for just these values. */

const WORDS = /^[\p{L}_](?:[\p{L}0-9_ -]*[\p{L}0-9_-])?$/u;
const SOMETHING_ELSE = /^(?:y|n|yes|no|true|false|on|off|null|nan|inf)$/i; // to one reader or another
const UNSEEN = /[\p{C}\p{Z}]/gu;

/**
 * Return what is pasted below `cameras.<camera>` of the configuration; empty if there are no zones and no lines.
 *
 * @param {{zones: Object, lines: Object}} areas in the configuration's form.
 */
export function areasYaml({ zones, lines }) {
  const all = [...section("zones", zones, zoneKeys), ...section("lines", lines, lineKeys)];
  return all.map((line) => `${line}\n`).join("");
}

/** Return a string as YAML, in quotes where it could be taken for something else. */
export function scalar(text) {
  if (WORDS.test(text) && !SOMETHING_ELSE.test(text)) return text;
  return `"${text.replace(/[\\"]/g, "\\$&").replace(UNSEEN, escaped)}"`;
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

function zoneKeys({ polygon }) {
  return [`polygon: [${polygon.map(point).join(", ")}]`];
}

function lineKeys({ from, to }) {
  return [`from: ${point(from)}`, `to: ${point(to)}`];
}

function sharedKeys({ labels, anchor }) {
  return [
    ...(labels ? [`labels: [${labels.map(scalar).join(", ")}]`] : []),
    ...(anchor && anchor !== "bottom_center" ? [`anchor: ${anchor}`] : []),
  ];
}

function point([x, y]) {
  return `[${number(x)}, ${number(y)}]`;
}

/** YAML 1.1 takes `1e-7` for a word: a number has a point before its exponent. */
function number(value) {
  return String(value).replace(/^(-?\d+)e/, "$1.0e");
}

function escaped(character) {
  if (character === " ") return character;
  const code = character.codePointAt(0);
  return code > 0xffff ? `\\U${code.toString(16).padStart(8, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
}
