// The client of `derl-dsl lsp`: started with the first .derl file, again when its setting changes.
import { commands, window, workspace, type ExtensionContext } from "vscode";
import { LanguageClient, type LanguageClientOptions } from "vscode-languageclient/node";
import { MISSING, serverCommand } from "./command";

let client: LanguageClient | undefined;

async function start(): Promise<void> {
  const setting = workspace.getConfiguration("derl").get<string[]>("command", []);
  const folders = (workspace.workspaceFolders ?? []).map((folder) => folder.uri.fsPath);
  const server = serverCommand(setting, folders, process.env["PATH"] ?? "");
  if (server === null) {
    void window.showWarningMessage(MISSING);
    return;
  }
  const options: LanguageClientOptions = {
    documentSelector: [{ language: "derl" }],
    synchronize: { fileEvents: workspace.createFileSystemWatcher("**/pyproject.toml") },
  };
  client = new LanguageClient("derl", "derl", server, options);
  try {
    await client.start();
  } catch (error) {
    void window.showErrorMessage(`${server.command} does not serve: ${String(error)}`);
  }
}

async function stop(): Promise<void> {
  const running = client;
  client = undefined;
  await running?.stop();
}

async function restart(): Promise<void> {
  await stop();
  await start();
}

export async function activate(context: ExtensionContext): Promise<void> {
  context.subscriptions.push(
    commands.registerCommand("derl.restart", restart),
    workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration("derl.command")) void restart();
    }),
  );
  await start();
}

export const deactivate = stop;
