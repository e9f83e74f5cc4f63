// Numbers, times and money as the reader's language writes them.

const language = navigator.languages;
const whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat(language, { notation: "compact", maximumFractionDigits: 1 });
const tenths = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
const percent = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const minute = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(language, { weekday: "short", hour: "2-digit" });
// The host's days are those of UTC.
const day = new Intl.DateTimeFormat(language, { month: "short", day: "numeric", timeZone: "UTC" });
const dayAndMinute = new Intl.DateTimeFormat(language, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });

export const NOTHING = "–";

export const count = (value) => (value === null || value === undefined ? NOTHING : whole.format(value));
export const compact = (value) => (value < 10000 ? tenths.format(value) : short.format(value));
export const share = (part, all) => (all > 0 ? percent.format(part / all) : NOTHING);
export const rate = (value) => (value < 10 ? tenths.format(value) : compact(Math.round(value)));

/** One of it, or more. */
export const plural = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;

/** Milliseconds, in the unit that people would use. */
export function duration(millis) {
  if (millis === null || millis === undefined) return NOTHING;
  if (millis < 1) return `<1\u202fms`;
  if (millis < 1000) return `${whole.format(millis)}\u202fms`;
  if (millis < 60000) return `${tenths.format(millis / 1000)}\u202fs`;
  return `${tenths.format(millis / 60000)}\u202fmin`;
}

/** Dollars. What is small keeps two digits that say something. */
export function money(value) {
  if (value === null || value === undefined) return NOTHING;
  const dollars = Number(value);
  const small = dollars !== 0 && Math.abs(dollars) < 0.1;
  const digits = small ? { maximumSignificantDigits: 2 } : { minimumFractionDigits: 2, maximumFractionDigits: 2 };
  return new Intl.NumberFormat(language, { style: "currency", currency: "USD", currencyDisplay: "narrowSymbol", ...digits }).format(dollars);
}

/** A moment of today, or of another day. */
export function time(moment) {
  const at = new Date(moment);
  return (at.toDateString() === new Date().toDateString() ? clock : dayAndMinute).format(at);
}

/** A moment on an axis of so many steps, as exact as these are. */
export function tick(moment, stepSeconds, steps) {
  if (stepSeconds >= 86400) return day.format(new Date(moment));
  return (stepSeconds * steps > 172800 ? weekday : minute).format(new Date(moment));
}

/** The same, to be read by itself. */
export const moment = (at, stepSeconds) => (stepSeconds >= 86400 ? day : dayAndMinute).format(new Date(at));

/** How long something has been running. */
export function uptime(seconds) {
  if (seconds < 3600) return `${Math.floor(seconds / 60)}\u202fmin`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)}\u202fh`;
  return plural(Math.floor(seconds / 86400), "day");
}
