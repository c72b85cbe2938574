// SPDX-License-Identifier: Apache-2.0
// Part of airflow-provider-registry-triggers.
//
// The page's files are joined into one script, so each file may use the names that the others define.

import { readdirSync, readFileSync } from "node:fs";

import js from "@eslint/js";
import globals from "globals";

const FOLDER = new URL("airflow_registry_triggers/plugins/ui/", import.meta.url);
const DEFINITION = /^(?:async )?(?:function|const|let|class) ([A-Za-z_$][\w$]*)/gm;
const DESTRUCTURED = /^const \{ ([^}]*) \} =/gm;

function sharedNames() {
  const names = [];
  for (const file of readdirSync(FOLDER).filter((name) => name.endsWith(".js"))) {
    const text = readFileSync(new URL(file, FOLDER), "utf8");
    names.push(...Array.from(text.matchAll(DEFINITION), (match) => match[1]));
    for (const match of text.matchAll(DESTRUCTURED)) {
      names.push(...match[1].split(",").map((part) => part.split(":").pop().trim()));
    }
  }
  return Object.fromEntries(names.map((name) => [name, "readonly"]));
}

export default [
  {
    ignores: [
      "**",
      "!airflow_registry_triggers/",
      "!airflow_registry_triggers/plugins/",
      "!airflow_registry_triggers/plugins/ui/**",
    ],
  },
  js.configs.recommended,
  {
    files: ["airflow_registry_triggers/plugins/ui/*.js"],
    languageOptions: { ecmaVersion: 2022, sourceType: "script", globals: { ...globals.browser, ...sharedNames() } },
    rules: {
      eqeqeq: "error",
      "max-len": ["error", { code: 120 }],
      "no-redeclare": ["error", { builtinGlobals: false }],
      "no-unused-vars": ["error", { vars: "local" }],
      "no-var": "error",
      "prefer-const": "error",
    },
  },
];
