// Where the tests find the repository, and the derl-dsl that they speak to.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

export const ROOT = resolve(__dirname, "../../../..");
const own = join(ROOT, ".venv/bin/derl-dsl");
export const DERL = process.env["DERL_DSL"] ?? (existsSync(own) ? own : "derl-dsl");
