// The real `derl-dsl lsp` over stdio, started by the command that the extension finds.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { test } from "node:test";
import {
  CodeActionRequest, createProtocolConnection, DidOpenTextDocumentNotification, ExitNotification,
  HoverRequest, InitializeRequest, PublishDiagnosticsNotification, ShutdownRequest,
  StreamMessageReader, StreamMessageWriter, type CodeAction, type PublishDiagnosticsParams,
} from "vscode-languageserver-protocol/node";
import { serverCommand } from "../src/command";
import { DERL } from "./places";

test("the command: the setting, the folder's environment, the path, or none", () => {
  const there = (...files: string[]) => (file: string) => files.includes(file);
  const own = join("/w", ".venv", "bin", "derl-dsl");
  assert.deepEqual(serverCommand(["uvx", "derl-dsl"], ["/w"], "", there(own)), {
    command: "uvx", args: ["derl-dsl", "lsp"],
  });
  assert.equal(serverCommand([], ["/v", "/w"], "/bin", there(own, "/bin/derl-dsl"))?.command, own);
  assert.equal(serverCommand([], ["/w"], "/usr/bin:/bin", there("/bin/derl-dsl"))?.command, "/bin/derl-dsl");
  assert.equal(serverCommand([], ["/w"], "", there()), null);
});

test("findings, hover and fixes arrive", { timeout: 120_000 }, async () => {
  const server = serverCommand([], [], dirname(DERL));
  assert.ok(server, `${DERL} is not there`);
  const folder = mkdtempSync(join(tmpdir(), "derl-"));
  const child = spawn(server.command, server.args, { cwd: folder });
  const connection = createProtocolConnection(
    new StreamMessageReader(child.stdout), new StreamMessageWriter(child.stdin),
  );
  const exited = new Promise<number | null>((done) => child.on("exit", done));
  try {
    const uri = pathToFileURL(join(folder, "r.derl")).href;
    const told = new Promise<PublishDiagnosticsParams>((done) =>
      connection.onNotification(PublishDiagnosticsNotification.type, done),
    );
    connection.listen();
    const { capabilities } = await connection.sendRequest(InitializeRequest.type, {
      processId: process.pid, rootUri: pathToFileURL(folder).href, capabilities: {},
    });
    assert.ok(capabilities.hoverProvider && capabilities.codeActionProvider);
    const text = "# suite: math\nreward = correct(completion, answer) - -boxed(completion)\n";
    await connection.sendNotification(DidOpenTextDocumentNotification.type, {
      textDocument: { uri, languageId: "derl", version: 1, text },
    });
    const found = (await told).diagnostics.find((one) => one.code === "DRL521");
    assert.ok(found);
    const hover = await connection.sendRequest(HoverRequest.type, {
      textDocument: { uri }, position: { line: 1, character: 12 },
    });
    assert.match(JSON.stringify(hover), /bool/);
    const actions = (await connection.sendRequest(CodeActionRequest.type, {
      textDocument: { uri }, range: found.range, context: { diagnostics: [found] },
    })) as CodeAction[];
    const all = actions.find((action) => action.kind === "source.fixAll");
    const edit = all?.edit?.changes?.[uri]?.[0]?.newText ?? "";
    assert.match(edit, /correct\(completion, answer\) \+ boxed\(completion\)/);
    await connection.sendRequest(ShutdownRequest.type);
    await connection.sendNotification(ExitNotification.type);
    assert.equal(await exited, 0);
  } finally {
    child.kill();
    connection.dispose();
    rmSync(folder, { recursive: true });
  }
});
