"""The arguments of util-linux's setpriv: it gives up root and all privileges for ever."""

from hubless.adapters.processes.accounts import Account

PROGRAM = "setpriv"


def arguments(program: str, account: Account) -> list[str]:
    """Return the command prefix that runs a program as *account*, which has a uid, without any privilege.

    Groups are those of the account alone, and `no_new_privs` keeps set-user-id programs such as sudo from giving more.
    """
    groups = ["--groups", ",".join(map(str, account.groups))] if account.groups else ["--clear-groups"]
    return [
        program,
        f"--reuid={account.uid}",
        f"--regid={account.gid}",
        *groups,
        "--inh-caps=-all",
        "--bounding-set=-all",
        "--no-new-privs",
        "--",
    ]
