"""One line of the table of faults: the bound, what was measured here and at JupyterHub, and whether it is met."""

import sys
from dataclasses import dataclass

NO_NOTION = "no such notion"
NOT_MEASURED = "not measured"


@dataclass
class Row:
    """*ours* and *theirs* are what the table shows."""

    fault: str
    bound: str
    is_met: bool
    ours: str
    theirs: str = NOT_MEASURED

    def __str__(self):
        verdict = "met" if self.is_met else "**NOT MET**"
        return f"| {self.fault} | {self.bound} | {self.ours} | {self.theirs} | {verdict} |"


HEAD = "| fault | bound | hubless | JupyterHub 6.1.1 | |\n| --- | --- | --- | --- | --- |"


def progress(text):
    """Say on standard error how far a long part is."""
    print(text, file=sys.stderr, flush=True)
