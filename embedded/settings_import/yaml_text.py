"""YAML of others, within bounds: no objects, no expansion without end."""

from typing import Any

from embedded.settings_import.old_settings import MAX_DEPTH, MAX_VALUES
from hubless.settings import SettingsError

MAX_BYTES = 1_000_000
_MAX_NUMBER = 100  # characters
_TWICE = "a key is there twice"
_MERGE = "tag:yaml.org,2002:merge"


def load(text: str, source: str) -> dict[str, Any]:
    """Return the table that the YAML document *text* of *source* is.

    Raises:
        SettingsError: when it is too large, no YAML or no table, or when PyYAML is not installed.
    """
    if len(text) > MAX_BYTES:
        raise SettingsError(f"{source} is longer than {MAX_BYTES} characters: give the file without embedded files")
    try:
        import yaml  # noqa: PLC0415 an extra has it
    except ModuleNotFoundError:
        raise SettingsError(f"{source} is YAML, which needs PyYAML: pip install 'hubless[import]'") from None
    try:
        found = yaml.load(text, Loader=_loader(yaml))  # noqa: S506 a SafeLoader with bounds
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or ""
        if problem == _TWICE:
            raise SettingsError(f"{source} has a key twice in one table{where}: remove one of them") from None
        hint = ": begin lines with spaces, not with tabs" if "\\t" in problem else ""
        raise SettingsError(f"{source} is no YAML that can be read{where}{hint}") from None
    except (ValueError, TypeError, RecursionError, AttributeError):
        raise SettingsError(f"{source} has a value that cannot be read") from None
    if not isinstance(found, dict):
        raise SettingsError(f"{source} must be a table of settings")
    return found


def _loader(yaml: Any) -> Any:  # noqa: C901 a class that is made of what is imported late
    """Return a SafeLoader that counts what it reads."""

    class Bounded(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML is untyped
        def __init__(self, stream: str) -> None:
            super().__init__(stream)
            self._count = 0
            self._depth = 0
            self._merged = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            self._count += 1
            self._depth += 1
            if self._count > MAX_VALUES or self._depth > 2 * MAX_DEPTH:
                raise yaml.YAMLError
            node = super().compose_node(parent, index)
            self._depth -= 1
            return node

        def compose_mapping_node(self, anchor: Any) -> Any:
            node = super().compose_mapping_node(anchor)
            seen: set[str] = set()
            for name, _ in node.value:
                if isinstance(name, yaml.ScalarNode) and name.value in seen and name.tag != _MERGE:
                    raise yaml.MarkedYAMLError(problem=_TWICE, problem_mark=name.start_mark)
                seen.add(str(name.value))
            return node

        def flatten_mapping(self, node: Any) -> None:
            for name, given in node.value:
                if name.tag == _MERGE:
                    self._count_merged(given.value if isinstance(given, yaml.SequenceNode) else [given])
            super().flatten_mapping(node)

        def _count_merged(self, nodes: list[Any]) -> None:
            for one in nodes:
                if isinstance(one, yaml.MappingNode):
                    self.flatten_mapping(one)
                    self._merged += len(one.value)
                if self._merged > MAX_VALUES:
                    raise yaml.YAMLError

        def construct_scalar(self, node: Any) -> Any:
            if node.tag in {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"} and len(node.value) > _MAX_NUMBER:
                raise yaml.YAMLError
            return super().construct_scalar(node)

    return Bounded
