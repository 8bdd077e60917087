// Bundles the extension and its tests to `out`, and brings the grammar that all editors share.
import { copyFileSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { build } from "esbuild";

const GRAMMAR = "../../derl_dsl/derl_dsl/editors/reward.tmLanguage.json";
const common = { bundle: true, platform: "node", target: "node18", logLevel: "warning" };

rmSync("out", { recursive: true, force: true });
mkdirSync("out");
mkdirSync("../../dist", { recursive: true });
copyFileSync("../../LICENSE", "LICENSE");
copyFileSync(GRAMMAR, "out/reward.tmLanguage.json");
await build({
  ...common,
  entryPoints: ["src/extension.ts"],
  outfile: "out/extension.js",
  external: ["vscode"],
  minify: true,
});
await build({
  ...common,
  entryPoints: readdirSync("test").map((name) => `test/${name}`),
  outdir: "out/test",
  packages: "external",
});
