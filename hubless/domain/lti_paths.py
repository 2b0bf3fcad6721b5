"""The paths at which an LMS reaches the hub."""

from typing import Final

LOGIN_PATH: Final = "/hub/lti/login"  # the initiate login URL
MESSAGE_PATH: Final = "/hub/lti/launch"  # the redirect URI, and the address of links
DEEP_LINK_PATH: Final = "/hub/lti/deep-link"  # the address of links that a teacher is choosing
KEY_SET_PATH: Final = "/hub/lti/jwks"
