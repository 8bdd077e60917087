"""What the rows of a data file lack that a checked reward needs."""

from __future__ import annotations

from pathlib import Path

from derl_dsl.cli.checking import More
from derl_dsl.cli.inputs import fail
from derl_dsl.cli.rows import whole_rows
from derl_dsl.prove.checked import Checked
from derl_dsl.tools.audit.faults import check_data
from derl_runtime.data import DataError
from derl_runtime.reading import ColumnError


def against(data: Path) -> More:
    """What adds to a program the findings about the rows of a file; a bad file ends the command."""
    try:
        rows = whole_rows([str(data)])
    except DataError as error:
        fail(str(error))

    def checked_on(checked: Checked) -> Checked:
        try:
            return check_data(checked, rows)
        except ColumnError as error:
            fail(f"{data}: {error}")

    return checked_on
