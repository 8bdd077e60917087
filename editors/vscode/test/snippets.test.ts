// Every snippet, with its defaults filled in, is a reward that checks.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { DERL, ROOT } from "./places";

interface Snippet { prefix: string; body: string[]; description: string }
const snippets = JSON.parse(
  readFileSync(join(ROOT, "editors/vscode/snippets.json"), "utf-8"),
) as Record<string, Snippet>;

/** The text that an editor inserts when no place is changed. */
function filled(body: string[]): string {
  return body.join("\n")
    .replace(/\$\{\d+\|([^,|]+)[^}]*\|\}/g, "$1")
    .replace(/\$\{\d+:([^}]*)\}/g, "$1")
    .replace(/\$\d+/g, "");
}

for (const [name, snippet] of Object.entries(snippets)) {
  test(`${name} checks`, () => {
    const text = filled(snippet.body);
    assert.doesNotMatch(text, /[${}]\d|\$\{/);
    const done = spawnSync(DERL, ["check", "-"], { input: text, encoding: "utf-8" });
    assert.equal(done.status, 0, `${text}\n${done.stdout}${done.stderr}`);
    assert.ok(snippet.description && snippet.prefix);
  });
}
