"""The scopes of an LMS's services (Assignment and Grade Services 2.0, Names and Role Provisioning Services 2.0)."""

from typing import Final

_SPEC = "https://purl.imsglobal.org/spec/"
LINE_ITEMS: Final = _SPEC + "lti-ags/scope/lineitem"
SCORES: Final = _SPEC + "lti-ags/scope/score"
RESULTS: Final = _SPEC + "lti-ags/scope/result.readonly"
MEMBERS: Final = _SPEC + "lti-nrps/scope/contextmembership.readonly"
ALL_SCOPES: Final = (LINE_ITEMS, SCORES, RESULTS, MEMBERS)
