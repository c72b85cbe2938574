// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// Times: in the zone that the user chose in Airflow, and relative to now.

function zoneOfAirflow() {
  try {
    const stored = globalThis.localStorage.getItem("timezone");
    const zone = stored && (stored.startsWith('"') ? JSON.parse(stored) : stored);
    new Intl.DateTimeFormat(undefined, { timeZone: zone || undefined });
    return zone || undefined;
  } catch {
    return undefined;
  }
}

// As 2026-01-31 12:00:00.
const inZone = (time, zone = zoneOfAirflow()) =>
  new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "medium" }).format(time);

function shownTime(text) {
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? plain(text) : inZone(time);
}

// 12:00:00, with the date unless it is today's.
function shortTime(text, now = Date.now()) {
  const shown = shownTime(text);
  const [date, clock] = shown.split(" ");
  return clock && date === inZone(now).slice(0, 10) ? clock : shown;
}

const UNITS = [
  ["d", 86400],
  ["h", 3600],
  ["min", 60],
  ["s", 1],
];

// "4 s", "2 min", "5 h", "3 d".
function shownSpan(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [unit, size] = UNITS.find(([, size]) => whole >= size) || UNITS[3];
  return `${Math.floor(whole / size)} ${unit}`;
}

// "2 min ago" or "in 2 min"; empty for a text that is not a time.
function relativeTime(text, now = Date.now()) {
  const seconds = (Date.parse(text) - now) / 1000;
  if (Number.isNaN(seconds)) return "";
  return seconds > 0 ? `in ${shownSpan(seconds)}` : `${shownSpan(-seconds)} ago`;
}

function Time({ at, short = false }) {
  const time = new Date(at);
  const isTime = !Number.isNaN(time.getTime());
  const title = isTime ? `${inZone(time, "UTC")} UTC, ${relativeTime(at)}` : undefined;
  return h("time", { dateTime: plain(at), title }, short ? shortTime(at) : shownTime(at));
}

// A date-time field has no zone: its value is in the zone that the list is shown in.
function toField(text) {
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? "" : inZone(time).replace(" ", "T").slice(0, 16);
}

function fromField(local) {
  const wanted = Date.parse(`${local}Z`);
  let time = wanted;
  // Twice, since the first guess may lie beyond a change of the clocks.
  for (let n = 0; n < 2 && !Number.isNaN(time); n++) time -= Date.parse(`${inZone(time).replace(" ", "T")}Z`) - wanted;
  return Number.isNaN(time) ? "" : new Date(time).toISOString();
}
