"""A real LDAP server, OpenLDAP's slapd, with a school's people: started for a test, and gone after it."""

import contextlib
import socket
import subprocess
import time
from pathlib import Path

from tests.support.free_port import free_port

FOLDER = Path(__file__).parents[2] / ".venv-slapd"
CONFIG = """
include {root}/etc/ldap/schema/core.schema
include {root}/etc/ldap/schema/cosine.schema
include {root}/etc/ldap/schema/inetorgperson.schema
include {root}/etc/ldap/schema/nis.schema
modulepath {root}/usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
database mdb
suffix "dc=school,dc=test"
directory {folder}/data
access to attrs=userPassword by anonymous auth by * none
access to * by * read
"""
PEOPLE = """
dn: dc=school,dc=test
objectClass: dcObject
objectClass: organization
o: School
dc: school

dn: ou=people,dc=school,dc=test
objectClass: organizationalUnit
ou: people

dn: uid=alice,ou=people,dc=school,dc=test
objectClass: inetOrgPerson
uid: alice
cn: Alice
sn: Liddell
mail: alice@school.test
userPassword: wonderland

dn: uid=bob,ou=people,dc=school,dc=test
objectClass: inetOrgPerson
uid: bob
cn: Bob
sn: Builder
userPassword: can we fix it

dn: cn=teachers,dc=school,dc=test
objectClass: groupOfNames
cn: teachers
member: uid=alice,ou=people,dc=school,dc=test
"""


@contextlib.contextmanager
def ldap_server(folder):
    """Run slapd in *folder* and yield its port at 127.0.0.1."""
    (folder / "data").mkdir(parents=True)
    config, people, port = folder / "slapd.conf", folder / "people.ldif", free_port()
    config.write_text(CONFIG.format(root=FOLDER / "root", folder=folder))
    people.write_text(PEOPLE)
    program = str(FOLDER / "slapd")
    subprocess.run([program, "-T", "add", "-f", config, "-l", people], check=True, capture_output=True)
    server = subprocess.Popen([program, "-d", "0", "-f", config, "-h", f"ldap://127.0.0.1:{port}"])
    try:
        _wait(port, server)
        yield port
    finally:
        server.terminate()
        server.wait(10)


def _wait(port, server):
    until = time.monotonic() + 20
    while server.poll() is None and time.monotonic() < until:
        with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"slapd does not listen at port {port}")
