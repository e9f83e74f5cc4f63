// Arithmetic of charts: round numbers for an axis, and which point belongs to which group.

/** The next round number from here on: 1, 2 or 5 times a power of ten. */
export function roundUp(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((times) => times * power).find((round) => round >= value * 0.999999);
}

/** Every step from one moment to another, also those at which there was nothing. */
export function moments(from, to, stepSeconds) {
  const all = [];
  for (let at = Date.parse(from); at < Date.parse(to); at += stepSeconds * 1000) all.push(at);
  return all;
}

/** Which of so many moments get a word on the axis, so that words have room. */
export function ticks(number, width, wordWidth) {
  const most = Math.max(2, Math.floor(width / wordWidth));
  const every = Math.ceil(number / most);
  return Array.from({ length: Math.ceil(number / every) }, (_, place) => place * every);
}
