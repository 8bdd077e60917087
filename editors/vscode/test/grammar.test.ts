// VS Code's own tokeniser reads every reward of the gallery with the grammar that is shipped.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import { loadWASM, OnigScanner, OnigString } from "vscode-oniguruma";
import { INITIAL, parseRawGrammar, Registry, type IGrammar } from "vscode-textmate";
import { ROOT } from "./places";

const GALLERY = join(ROOT, "derl_dsl/derl_dsl/gallery");
const FILE = join(ROOT, "editors/vscode/out/reward.tmLanguage.json");
let grammar: IGrammar;

before(async () => {
  const wasm = readFileSync(require.resolve("vscode-oniguruma/release/onig.wasm"));
  await loadWASM(wasm);
  const registry = new Registry({
    onigLib: Promise.resolve({
      createOnigScanner: (patterns) => new OnigScanner(patterns),
      createOnigString: (text) => new OnigString(text),
    }),
    loadGrammar: async () => parseRawGrammar(readFileSync(FILE, "utf-8"), FILE),
  });
  const loaded = await registry.loadGrammar("source.derl");
  assert.ok(loaded);
  grammar = loaded;
});

/** The stretches of a text, each with its innermost scope. */
function tokens(text: string): [string, string][] {
  let state = INITIAL;
  return text.split("\n").flatMap((line) => {
    const read = grammar.tokenizeLine(line, state);
    state = read.ruleStack;
    return read.tokens.map((token): [string, string] => [
      line.slice(token.startIndex, token.endIndex),
      token.scopes.at(-1) ?? "",
    ]);
  });
}

const files = readdirSync(GALLERY).filter((name) => /^[^.]+\.derl$/.test(name));

test("the gallery is there", () => assert.ok(files.length >= 38));

for (const file of files) {
  test(`${file}: every character has a colour, and nothing is illegal`, () => {
    const text = readFileSync(join(GALLERY, file), "utf-8");
    const found = tokens(text);
    assert.deepEqual(found.filter(([, scope]) => scope.includes("illegal")), []);
    // What has only the scope of the whole file is space, or punctuation between names.
    const plain = found.filter(([part, scope]) => scope === "source.derl" && /\w/.test(part));
    assert.deepEqual(plain, []);
    const named = found.filter(([, scope]) => scope === "keyword.other.reward.derl");
    assert.equal(named.length, /^reward\s*=/m.test(text) ? 1 : 0);
  });
}

test("kinds of words are told apart", () => {
  const found = new Map(tokens("# suite: math\nn = 0.5 if boxed(completion) else words(x)\n$").map((pair) => pair));
  const begins: [string, string][] = [
    ["suite:", "keyword.other.directive"], ["0.5", "constant.numeric"], ["if", "keyword.control"],
    ["boxed", "entity.name.function"],
  ];
  for (const [text, scope] of begins) assert.ok(found.get(text)?.startsWith(scope), `${text}: ${found.get(text)}`);
  assert.match(found.get("$") ?? "", /illegal/);
});
