// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// The page "Access Log". React, its router and Chakra UI are those of Airflow's own UI; there is no build step:
// the files of this folder are run one after the other, as one script (script.py has their order).
// All that comes from a registry, a receiver or a conf is shown as text and nothing else.
//
// This file: how values are written.

const { React, ReactRouterDOM: Router, ChakraUI: C } = globalThis;
const { useCallback, useEffect, useMemo, useRef, useState } = React;
const h = React.createElement;

// Characters that turn a line around, hide, or steer a terminal are shown by their number.
const UNSEEN = new RegExp(
  "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f" +
    "\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]",
  "g",
);

function plain(value) {
  const text = value === null || value === undefined ? "" : String(value);
  return text.replace(UNSEEN, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

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
const inZone = (time) =>
  new Intl.DateTimeFormat("sv-SE", { timeZone: zoneOfAirflow(), dateStyle: "short", timeStyle: "medium" }).format(time);

function shownTime(text) {
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? plain(text) : inZone(time);
}

// A date-time field holds no zone: what stands in it is of the zone that the list is shown in.
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

function shownDuration(ms) {
  if (ms === null || ms === undefined) return "";
  return ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(ms < 10000 ? 1 : 0)} s`;
}

const shortDigest = (digest) =>
  plain(digest)
    .replace(/^sha256:/, "")
    .slice(0, 12);

const imageName = (entry) => plain(entry.repository) + (entry.tag ? `:${plain(entry.tag)}` : "");

const delivery = (entry) => entry.trigger_log_id.split("/")[0];

// A delivery keeps its key when it is tried again; what is there several times is numbered.
function keyed(entries) {
  const counts = new Map();
  return entries.map((entry) => {
    const place = [entry.dag_id, entry.run_id, entry.task_id, entry.map_index, delivery(entry)];
    const key = JSON.stringify(entry.trigger_url ? place : [...place, entry.status_code]);
    const number = counts.get(key) || 0;
    counts.set(key, number + 1);
    return { ...entry, key: `${key}${number}` };
  });
}

const runPath = (entry) => `/dags/${encodeURIComponent(entry.dag_id)}/runs/${encodeURIComponent(entry.run_id)}`;

function logPath(entry, tryNumber) {
  const mapped = entry.map_index >= 0 ? `/mapped/${entry.map_index}` : "";
  return `${runPath(entry)}/tasks/${encodeURIComponent(entry.task_id)}${mapped}?try_number=${tryNumber}`;
}
