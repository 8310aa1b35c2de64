"""A table of what was measured, which a run that was stopped goes on with."""

import contextlib
import fcntl
import os

import pandas as pd

from benchmarks.facts import processor
from files import whole
from problem import Problem, say


class Table:
    """The rows of a CSV file. `settings` are the columns that say what was measured: each setting has one row.

    What was measured stays, whatever is measured afterwards, or by another process at the same time.
    """

    def __init__(self, path, settings):
        self.path, self.settings = path, [*settings]

    def rows(self, **setting):
        """The rows of `setting`, which may name some of the settings only. Raises Problem."""
        if not self.path.exists():
            return pd.DataFrame(columns=self.settings)
        try:  # settings stay the texts that they are in the file, or 7 and 7.0 would differ
            table = pd.read_csv(self.path, converters=dict.fromkeys(self.settings, str), float_precision='round_trip')
        except (OSError, ValueError) as error:
            raise Problem(f"{self.path} can't be read ({error}); move it away to begin anew.") from None
        if not {*self.settings} <= {*table.columns}:
            raise Problem(f'{self.path} does not have the columns {", ".join(self.settings)}; move it away.')
        for name, value in setting.items():
            table = table[table[name] == str(value)]
        return table

    def add(self, rows):
        """Write [{column: value}, ...] to the file, in the place of those of the same settings. Raises Problem."""
        new = pd.DataFrame([self.written(row) for row in rows]).round(4)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with locked(self.path.parent), whole(self.path) as partial:
                old = self.rows()
                table = pd.concat([old, new]) if len(old) else new  # whole numbers stay whole
                table.drop_duplicates(self.settings, keep='last').to_csv(partial, index=False)
        except OSError as error:
            raise Problem(f'{self.path} could not be written ({error}); free some space or mend its folder.') from None

    def written(self, row):
        """The row with its settings as texts, which come first, and the processor."""
        texts = {name: str(row[name]) for name in self.settings}
        return texts | row | {'processor': row.get('processor', processor())} | texts

    def measure(self, setting, recipe):
        """The row of `setting`; if it is not there, the {column: value} of recipe() are written and printed."""
        if self.rows(**setting).empty:
            values = recipe()
            self.add([setting | values])
            say(', '.join(f'{name} {value}' for name, value in (setting | values).items()))
        return self.rows(**setting).iloc[0]


@contextlib.contextmanager
def locked(folder):
    """Wait until no other process is here: it must not write what it read before we wrote."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
