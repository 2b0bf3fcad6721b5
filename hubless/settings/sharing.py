"""The section `[sharing]`."""

from hubless.domain.values import value
from hubless.settings.types import FLAG, setting


@value
class SharingSettings:
    """What users may share on the hub's pages."""

    users_may_share: bool = setting(
        True,
        FLAG,
        "Whether users may share their own servers on the page for it; for the API they need the scope `shares`",
    )
