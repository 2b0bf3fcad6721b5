"""A mail server: it speaks as much of SMTP as the hub needs, keeps what it takes, and has the faults of real ones.

It differs from real servers: it knows one user (AUTH PLAIN, RFC 4954), takes one command at a time, limits no
line or mail, and delivers nothing. Commands out of order get 503, as RFC 5321 4.1.4 wants. AUTH is offered over TLS
alone (RFC 4954, 4), unless `is_local`.
"""

import base64
import email
import email.policy
import ipaddress
import socket
import socketserver
import ssl
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

USER, PASSWORD = "hub", "a secret of the mail server"


class Session(socketserver.StreamRequestHandler):
    """One connection."""

    def handle(self):
        self.double, self.secure, self.user = self.server.double, False, None
        self.sender, self.recipients = None, []
        self.double.connections.append(self.connection)
        try:
            if self.double.implicit_tls:
                self._encrypt()
            if self.double.fault == "hangs up at once":
                return
            self._say("220 mail.test ESMTP double")
            self._talk()
        except OSError as gone:  # the client hung up, or did not like the certificate
            self.double.broken.append(gone)
        finally:
            self.connection.close()

    def _talk(self):
        while line := self.rfile.readline():
            verb, _, rest = line.decode("ascii").strip().partition(" ")
            self.double.commands.append(verb.upper())
            if verb.upper() == "QUIT":
                if self.double.fault != "hangs up at QUIT":
                    self._say("221 bye")
                return
            act = getattr(self, f"_do_{verb.lower()}", None)
            if act is None:
                self._say("500 unknown command")
            elif act(rest) is False:
                return

    def _do_ehlo(self, name):
        self.double.greeted.append(name)
        self.sender, self.recipients = None, []
        offers = ["mail.test"]
        if not self.secure and self.double.offers_starttls:
            offers.append("STARTTLS")
        if self.secure or self.double.is_local:
            offers.append("AUTH PLAIN")
        for offer in offers[:-1]:
            self._say(f"250-{offer}")
        self._say(f"250 {offers[-1]}")

    def _do_starttls(self, _):
        if self.secure or not self.double.offers_starttls:
            return self._say("503 not now")
        self._say("220 go ahead")
        self._encrypt()
        return None

    def _do_auth(self, rest):
        if not (self.secure or self.double.is_local):
            return self._say("538 encryption required")
        kind, _, given = rest.partition(" ")
        if kind.upper() != "PLAIN":
            return self._say("504 only PLAIN")
        _, user, password = base64.b64decode(given).decode().split("\0")
        if (user, password) != (USER, PASSWORD):
            return self._say("535 5.7.8 authentication failed")
        self.user = user
        return self._say("235 welcome")

    def _do_mail(self, rest):
        if self.double.needs_user and self.user is None:
            return self._say("530 5.7.0 authentication required")
        self.sender, self.recipients = rest, []
        return self._say("250 ok")

    def _do_rcpt(self, rest):
        if self.sender is None:
            return self._say("503 MAIL first")
        if self.double.fault == "knows no such address":
            return self._say("550 5.1.1 no such user here")
        if self.double.fault == "is busy":
            return self._say("451 4.7.1 greylisted, try again")
        self.recipients.append(rest.partition("<")[2].partition(">")[0])
        return self._say("250 ok")

    def _do_data(self, _):
        if not self.recipients:
            return self._say("503 RCPT first")
        self._say("354 go on")
        lines = []
        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
            lines.append(line[1:] if line.startswith(b".") else line)
        if self.double.fault == "hangs up after the data":
            return False
        if self.double.fault == "refuses the mail":
            return self._say("554 5.7.1 looks like spam")
        mail = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
        self.double.mails.append((list(self.recipients), mail, self.secure))
        self.sender, self.recipients = None, []
        return self._say("250 2.0.0 queued")

    def _do_rset(self, _):
        self.sender, self.recipients = None, []
        self._say("250 ok")

    def _encrypt(self):
        self.connection = self.double.tls.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb", -1), self.connection.makefile("wb", 0)
        self.secure = True

    def _say(self, line):
        self.wfile.write(line.encode("ascii") + b"\r\n")


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads = True, False


class SmtpDouble:
    """A mail server on 127.0.0.1, with a certificate for `localhost` in the file `authority`."""

    def __init__(self, folder, *, implicit_tls=False, offers_starttls=True, needs_user=False, is_local=False, names=()):
        self.implicit_tls, self.offers_starttls = implicit_tls, offers_starttls
        self.needs_user, self.is_local = needs_user, is_local
        self.fault = ""
        self.mails, self.commands, self.greeted, self.broken, self.connections = [], [], [], [], []
        self.authority = folder / "mail-authority.pem"
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(make_certificate(self.authority, folder / "mail-key.pem", names or ("localhost",)))
        self._server = _Server(("127.0.0.1", 0), Session)
        self._server.double = self
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self):
        """End, with all threads."""
        self._server.shutdown()
        self._thread.join()
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it is closed already
        self._server.server_close()

    def trusting(self):
        """Return a client's TLS context that trusts this server's certificate alone."""
        return ssl.create_default_context(cafile=self.authority)

    def texts_to(self, address):
        """Return the texts of all mails to an address, the oldest first."""
        return [mail.get_content().replace("\r\n", "\n") for recipients, mail, _ in self.mails if address in recipients]


@contextmanager
def smtp_double(folder, **how):
    """Run a mail server."""
    made = SmtpDouble(folder, **how)
    try:
        yield made
    finally:
        made.close()


def make_certificate(file, key_file, names):
    """Make a key and a certificate that signs itself, valid now for a day, and return the file that has both."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    file.write_bytes(pem)
    plain = serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain) + pem)
    return key_file


def _name(name):
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
