/** The colours of labels: the same as in the snapshots. */

const HUES = 180; // OpenCV's scale
const MAX_CACHED = 1000;
const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? (byte >>> 1) ^ 0xedb88320 : byte >>> 1;
  return byte;
});
const cache = new Map();

/**
 * Return the colour of a label, and of text on it.
 * @param {string} label
 * @returns {{fill: string, ink: string}} always the same for a label, bright, and seldom that of another label.
 */
export function colourOf(label) {
  let colour = cache.get(label);
  if (!colour) {
    const hue = (crc32(new TextEncoder().encode(label)) % HUES) * 2;
    colour = { fill: `hsl(${hue}, 100%, 50%)`, ink: inkOn(hue) };
    if (cache.size === MAX_CACHED) cache.clear();
    cache.set(label, colour);
  }
  return colour;
}

function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) crc = CRC[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Return black or white, the more readable of the two: by the relative luminance of WCAG 2. */
function inkOn(hue) {
  const linear = (shift) => {
    const position = (shift + hue / 60) % 6;
    const value = 1 - Math.max(0, Math.min(1, position, 4 - position));
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  const luminance = 0.2126 * linear(5) + 0.7152 * linear(3) + 0.0722 * linear(1);
  return luminance > 0.179 ? "#000" : "#fff"; // at this luminance both have the same contrast
}
