// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// The pages of the package. React, its router and Chakra UI are those of Airflow's own UI; there is no build step:
// the files of this folder are run one after the other, as one script (script.py has their order).
// Text of a registry, a receiver or a conf is shown as text and nothing else.
//
// This file: values as text.

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

const counted = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

function shownDuration(ms) {
  if (ms === null || ms === undefined) return "";
  return ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(ms < 10000 ? 1 : 0)} s`;
}

const shortDigest = (digest) =>
  plain(digest)
    .replace(/^sha256:/, "")
    .slice(0, 12);

const imageName = (entry) => plain(entry.repository) + (entry.tag ? `:${plain(entry.tag)}` : "");

// Host and path of a URL, as far as it can be read.
function shownReceiver(url, { path = true } = {}) {
  const [, host = plain(url), rest = ""] = /^[a-z]+:\/\/([^/?#]*)([^?#]*)/i.exec(plain(url)) || [];
  return path && rest !== "/" ? host + rest : host;
}

const dagPath = (dagId) => `/dags/${encodeURIComponent(dagId)}`;
const runPath = (entry) => `${dagPath(entry.dag_id)}/runs/${encodeURIComponent(entry.run_id)}`;

function logPath(entry, tryNumber) {
  const mapped = entry.map_index >= 0 ? `/mapped/${entry.map_index}` : "";
  return `${runPath(entry)}/tasks/${encodeURIComponent(entry.task_id)}${mapped}?try_number=${tryNumber}`;
}

// The address of the access log with filters.
const logPage = (filters) => `/plugin/access-log?${new URLSearchParams(filters)}`;
