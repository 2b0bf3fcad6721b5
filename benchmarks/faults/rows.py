"""One line of the table of faults: what was measured here and at JupyterHub, and the bound."""

import sys
from dataclasses import dataclass


@dataclass
class Row:
    """*ours* and *theirs* are what the table shows; *theirs* is empty where JupyterHub has no such notion."""

    fault: str
    ours: str
    bound: str
    is_met: bool
    theirs: str = ""

    def __str__(self):
        verdict = "met" if self.is_met else "**not met**"
        return f"| {self.fault} | {self.ours} | {self.theirs} | {self.bound} | {verdict} |"


HEAD = "| fault | hubless | JupyterHub 6.1.1 | bound | |\n| --- | --- | --- | --- | --- |"


def progress(text):
    """Say on standard error how far a long part is."""
    print(text, file=sys.stderr, flush=True)
