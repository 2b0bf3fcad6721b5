"""The bounds of what comes from outside. No work grows with a text, a list or a body that has not passed its bound.

Lengths of texts are characters, unless a comment says bytes.
"""

from typing import Final

# --- what names may have ---
MAX_USER_NAME: Final = 255
# Bytes of what stands for all names that look like one (`names.skeleton`), in which some letters become six. DynamoDB's
# keys have 1,024, one of them for a character of ours.
MAX_SKELETON: Final = 1023
MAX_DISPLAY_NAME: Final = 255
# As it is typed: composing (Unicode Standard Annex 15) makes one character of at most four, so what is longer than this
# is no name afterwards either.
MAX_TYPED_NAME: Final = 4 * MAX_USER_NAME
MAX_IDENTIFIER: Final = 255  # of an id of ours, a service's name or an OAuth client's id

# --- what proves who somebody is ---
MAX_SECRET_LENGTH: Final = 64  # JupyterHub 6.1 refuses longer tokens without looking them up
MAX_PASSWORD: Final = 1024  # hashing longer ones only costs the hub processor time
MAX_XSRF_TOKEN: Final = 512
MAX_ISSUER: Final = 1024  # of an identity: longer than any URL that issues some
MAX_SUBJECT: Final = 255  # as OpenID Connect Core 2 has it; bytes there, and ASCII
MAX_PROVIDER_NAME: Final = 64
MAX_LABEL: Final = 255  # of an identity, such as an address of e-mail
MAX_IDENTITIES: Final = 50  # of a user
MAX_FOLLOWED_GROUPS: Final = 200  # of a login: as many as Microsoft Entra puts into a token
MAX_AUTH_STATE: Final = 65_536  # sealed: what a provider says of a user at a login
MAX_XSRF_COOKIES: Final = 20  # a browser sends one for each path and host that set it

# --- what is stored of a request ---
MAX_SCOPE: Final = 1024
MAX_SCOPES: Final = 200
MAX_NAMES: Final = 10_000  # in one request
MAX_COUNTED: Final = 10_000  # members of a group that a page counts
MAX_MEMBERSHIPS: Final = 20_000  # in one request, which may name many groups and many members of each
MAX_NOTE: Final = 1024
MAX_AGENT: Final = 200
MAX_OPTIONS: Final = 16_384  # of a server: its record stays small
MAX_PROPERTIES: Final = 65_536  # of a group or a service, as JSON: an item of DynamoDB has at most 400 kB
MAX_USER_RECORD: Final = 350_000  # bytes, with names of groups and servers and what is shared: as the line before

# --- what a request may have ---
MAX_TARGET: Final = 16_384  # bytes of path and query
MAX_HEADERS: Final = 65_536  # bytes of all headers; the edge has a lower bound
MAX_BODY: Final = 1_000_000  # bytes
MAX_FIELD: Final = 16_384  # of a form
MAX_KEYS: Final = 1000  # of a JSON object with keys of ours
