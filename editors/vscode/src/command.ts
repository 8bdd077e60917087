// Which program serves a folder: the setting, the folder's own environment, or the one on the path.
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

export interface Command {
  readonly command: string;
  readonly args: string[];
}

const NAME = process.platform === "win32" ? "derl-dsl.exe" : "derl-dsl";
const SCRIPTS = process.platform === "win32" ? "Scripts" : "bin";

/** The command of the language server, or null when none is found. */
export function serverCommand(
  setting: readonly string[],
  folders: readonly string[],
  path: string,
  exists: (file: string) => boolean = existsSync,
): Command | null {
  const [first, ...rest] = setting;
  if (first !== undefined) return { command: first, args: [...rest, "lsp"] };
  const own = folders.flatMap((folder) =>
    [".venv", "venv"].map((name) => join(folder, name, SCRIPTS, NAME)),
  );
  const onPath = path.split(delimiter).filter(Boolean).map((folder) => join(folder, NAME));
  const found = [...own, ...onPath].find(exists);
  return found === undefined ? null : { command: found, args: ["lsp"] };
}

export const MISSING =
  "derl-dsl was not found: pip install 'derl-dsl[lsp]' in the folder's .venv, or name the program in the setting derl.command.";
