"""Types of settings that name claims of a login: expressions and templates."""

from typing import Any

from hubless.domain.claims import check_expression, check_template
from hubless.settings.types import TEXT, SettingType


def _expression(given: Any) -> str:
    return check_expression(TEXT.read(given))


def _template(given: Any) -> str:
    return check_template(TEXT.read(given))


EXPRESSION = SettingType("a claim's name, a path, or a JMESPath expression", _expression)
TEMPLATE = SettingType('a text with a placeholder such as "{username}"', _template)
