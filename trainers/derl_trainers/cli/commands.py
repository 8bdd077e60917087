"""The trainers' commands of `derl-dsl`: where each lies; the one that is called is imported."""

from __future__ import annotations

COMMANDS = {
    "train": "derl_trainers.cli.train:train_command",
    "meta-train": "derl_trainers.cli.meta_train:meta_train_command",
    "compare": "derl_trainers.cli.compare:compare_command",
    "transfer": "derl_trainers.cli.transfer:transfer_command",
    "teach": "derl_trainers.cli.teach:teach_command",
    "runs": "derl_trainers.cli.runs:runs_command",
    "report": "derl_trainers.cli.report:report_command",
}


def register(commands: dict[str, str]) -> None:
    """Add the commands to the table of the command line."""
    commands.update(COMMANDS)
