"""Strays: servers that run and that the store does not know, because it was restored or replaced."""

from hubless.domain.values import value


@value
class Stray:
    """One of them, as its launcher noted it. What an older hubless started has no user and no server."""

    launch_id: str
    user: str = ""  # the owner's name at the launch
    user_id: str = ""
    server: str = ""  # its name; "" for the default server
    server_id: str = ""
    profile: str = ""
    token_sha256: str = ""  # of the launch's token; "" if nobody noted it
    home: str = ""  # its folder

    @property
    def called(self) -> str:
        """Return the words for it in lists and sentences: owner and name."""
        return f"{self.user or 'user not known'}/{self.server}"

    def is_meant_by(self, name: str) -> bool:
        """Say whether an operator who writes *name* means it: its launch, its owner or owner and server."""
        return name == self.launch_id or (bool(self.user) and name in {self.user, self.called})
