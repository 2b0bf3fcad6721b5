"""Mails by SMTP, against a server of its own process's threads; and by SES, against botocore's stubber."""

import logging
import ssl

import boto3
import pytest
from botocore.stub import Stubber

from hubless.adapters.aws import Clients
from hubless.adapters.mail.no_mailer import NoMailer
from hubless.adapters.mail.ses import SesMailer
from hubless.adapters.mail.smtp import SmtpMailer
from hubless.domain.errors import MailFailedError
from hubless.domain.mails import Mail
from tests.doubles.smtp import PASSWORD, USER, smtp_double
from tests.support.builders import NOW
from tests.support.fakes import StoppedClock
from tests.support.free_port import free_port

SENDER = "Physics hub <hub@example.org>"
TEXT = "Open this link:\nhttps://hub.example.org/hub/set-password?key=" + "k" * 200 + "\n.\nGrüße\n"
MAIL = Mail("ada@example.org", "Ein neues Paßwort", TEXT)


def mailer(server, **changes):
    facts = {"host": "localhost", "port": server.port, "sender": SENDER, "clock": StoppedClock(NOW)}
    return SmtpMailer(**facts | {"context": server.trusting} | changes)


@pytest.mark.parametrize(
    ("server_has", "security"),
    [({}, "starttls"), ({"implicit_tls": True}, "tls"), ({"is_local": True, "offers_starttls": False}, "none")],
)
def test_a_mail_arrives_as_it_was_written(tmp_path, server_has, security):
    with smtp_double(tmp_path, needs_user=True, **server_has) as server:
        mailer(server, security=security, user=USER, password=PASSWORD).send(MAIL)
        ((recipients, mail, secure),) = server.mails
    assert recipients == ["ada@example.org"]
    assert secure == (security != "none")
    assert (mail["From"], mail["To"], mail["Subject"]) == (SENDER, MAIL.to, MAIL.subject)
    assert mail["Date"].datetime == NOW
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"].endswith("@example.org>")
    assert mail.get_content().replace("\r\n", "\n") == TEXT
    assert server.greeted == ["example.org"] * len(server.greeted)


def test_nothing_is_sent_without_encryption_where_the_settings_want_it(tmp_path):
    with smtp_double(tmp_path, offers_starttls=False, is_local=True) as server, pytest.raises(MailFailedError):
        mailer(server, user=USER, password=PASSWORD).send(MAIL)
    assert server.mails == []
    assert not {"AUTH", "MAIL", "DATA"} & set(server.commands)


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("names", [("other.example.org",), ("localhost",)])
def test_a_server_without_a_valid_certificate_gets_no_password(tmp_path, security, names):
    with smtp_double(tmp_path, implicit_tls=security == "tls", names=names) as server:
        known = {} if names == ("other.example.org",) else {"context": ssl.create_default_context}
        with pytest.raises(MailFailedError):
            mailer(server, security=security, user=USER, password=PASSWORD, **known).send(MAIL)
    assert not {"AUTH", "MAIL", "DATA"} & set(server.commands)


def test_a_wrong_password_is_told_in_the_log_without_it(tmp_path, caplog):
    words = "Try again in a few minutes, or ask the hub's admin"
    with smtp_double(tmp_path, needs_user=True) as server, pytest.raises(MailFailedError, match=words):
        mailer(server, user=USER, password="a wrong one").send(MAIL)
    assert "535" in caplog.text
    assert "a wrong one" not in caplog.text
    assert "ada@" not in caplog.text


@pytest.mark.parametrize(
    ("fault", "words", "retry"),
    [
        ("knows no such address", "Check it for typing errors", False),
        ("is busy", "Try again in a few minutes", True),
        ("refuses the mail", "Try again in a few minutes", True),
        ("hangs up at once", "Try again in a few minutes", True),
        ("hangs up after the data", "Try again in a few minutes", True),
    ],
)
def test_what_the_server_refuses_is_told_in_words(tmp_path, fault, words, retry):
    with smtp_double(tmp_path) as server:
        server.fault = fault
        with pytest.raises(MailFailedError, match=words) as caught:
            mailer(server).send(MAIL)
        assert (caught.value.retry, server.mails) == (retry, [])
        server.fault = ""
        mailer(server).send(MAIL)
        assert len(server.mails) == 1


def test_a_check_logs_in_and_sends_nothing(tmp_path):
    with smtp_double(tmp_path, needs_user=True) as server:
        mailer(server, user=USER, password=PASSWORD).check()
    assert server.mails == []
    assert "AUTH" in server.commands
    assert not {"MAIL", "DATA"} & set(server.commands)


def test_a_check_tells_the_operator_what_the_server_said(tmp_path):
    with smtp_double(tmp_path, needs_user=True) as server:
        with pytest.raises(MailFailedError, match="would take no mail of the hub: 535") as failed:
            mailer(server, user=USER, password="a wrong one").check()
        with pytest.raises(MailFailedError, match=r"certificate .*\. Check mail\.host"):
            mailer(server, context=ssl.create_default_context).check()
    assert "a wrong one" not in str(failed.value)


def test_a_mail_that_was_taken_has_not_failed_when_the_server_hangs_up(tmp_path):
    with smtp_double(tmp_path) as server:
        server.fault = "hangs up at QUIT"
        mailer(server).send(MAIL)
    assert len(server.mails) == 1


def test_a_server_that_is_away_is_told_in_words(tmp_path):
    with smtp_double(tmp_path) as server:
        away = mailer(server, port=free_port())
    with pytest.raises(MailFailedError, match="could not send"):
        away.send(MAIL)


def test_a_name_of_a_hub_cannot_add_a_header(tmp_path):
    with smtp_double(tmp_path) as server:
        mailer(server).send(Mail(MAIL.to, "hub\r\nBcc: eve@example.org", "x\n"))
        ((recipients, mail, _),) = server.mails
    assert (recipients, mail["Bcc"]) == ([MAIL.to], None)
    assert mail["Subject"] == "hub  Bcc: eve@example.org"


@pytest.fixture
def ses():
    session = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b", region_name="eu-central-1")
    clients = Clients("eu-central-1", session)
    with Stubber(clients.sesv2) as stubber:
        yield SesMailer(SENDER, clients), stubber


def test_ses_gets_the_mail_as_it_was_written(ses):
    made, stubber = ses
    content = {
        "Simple": {
            "Subject": {"Data": MAIL.subject, "Charset": "UTF-8"},
            "Body": {"Text": {"Data": TEXT, "Charset": "UTF-8"}},
            "Headers": [{"Name": "Auto-Submitted", "Value": "auto-generated"}],
        }
    }
    expected = {"FromEmailAddress": SENDER, "Destination": {"ToAddresses": [MAIL.to]}, "Content": content}
    stubber.add_response("send_email", {"MessageId": "1"}, expected)
    made.send(MAIL)
    stubber.assert_no_pending_responses()


@pytest.mark.parametrize("code", ["MessageRejected", "AccessDeniedException", "TooManyRequestsException"])
def test_what_ses_refuses_is_told_in_words(ses, code, caplog):
    made, stubber = ses
    stubber.add_client_error("send_email", code, "Email address is not verified")
    with pytest.raises(MailFailedError, match="ask the hub's admin"), caplog.at_level(logging.WARNING):
        made.send(MAIL)
    assert code in caplog.text
    assert caplog.records[-1].getMessage().endswith(".")  # it says what to do


def test_a_hub_without_a_mail_server_says_so():
    with pytest.raises(MailFailedError, match=r"its settings have no \[mail\]") as caught:
        NoMailer().send(MAIL)
    assert not caught.value.retry
