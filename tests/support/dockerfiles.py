"""What Dockerfiles say."""

import json
import re
import shlex
from pathlib import Path

TOP = Path(__file__).parents[2]
IMAGES = TOP / "images"
CONTEXTS = {"singleuser": IMAGES / "singleuser", "edge_proxy": TOP}  # what each is built from


class Recipe:
    """An image's instructions, in order, as pairs of a name and its text."""

    def __init__(self, name):
        self.context = CONTEXTS[name]
        text = (IMAGES / name / "Dockerfile").read_text()
        lines = "".join(f"{line}\n" for line in text.splitlines() if not line.lstrip().startswith("#"))
        whole = [line.strip() for line in lines.replace("\\\n", " ").splitlines() if line.strip()]
        self.instructions = [(line.split()[0], line.partition(" ")[2].strip()) for line in whole]

    def all(self, name):
        return [text for instruction, text in self.instructions if instruction == name]

    @property
    def last_stage(self):
        """Return the instructions that what runs comes from."""
        starts = [number for number, (name, _) in enumerate(self.instructions) if name == "FROM"]
        return self.instructions[starts[-1] :]

    @property
    def command(self):
        return json.loads(self.all("CMD")[-1])

    @property
    def health_check(self):
        return json.loads(self.all("HEALTHCHECK")[-1].partition("CMD ")[2])

    @property
    def environment(self):
        """Return the variables that are set in what runs; PATH stays as the caller has it."""
        texts = [text for name, text in self.last_stage if name == "ENV"]
        return dict(pair.split("=", 1) for text in texts for pair in shlex.split(text) if not pair.startswith("PATH="))

    @property
    def copies(self):
        """Return of each COPY from the context what is copied, and where to."""
        found = []
        for text in self.all("COPY"):
            if not text.startswith("--from="):
                *sources, target = text.split()
                found.append((sources, target))
        return found

    @property
    def pins(self):
        """Return of each package that the context's requirements pin its name, version, marker and hashes."""
        text = (self.context / "requirements.txt").read_text().replace("\\\n", " ")
        found = [
            re.fullmatch(r"([a-z0-9_.-]+)==([^ ;]+)(?: ; (.*?))?((?:\s+--hash=sha256:\w+)+)\s*", line)
            for line in text.splitlines()
        ]
        return [(one[1], one[2], one[3], set(re.findall(r"sha256:\w+", one[4]))) for one in found]
