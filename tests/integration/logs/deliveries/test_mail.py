"""Mail, against a server that is not ours."""

from __future__ import annotations

import datetime
import email
import email.policy
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import AsyncMessage
from django.db import transaction

from accounts.models import Tenant
from accounts.problems import Invalid
from logs import deliveries
from logs.deliveries import NewTarget, create_target
from logs.models import Delivery, DeliveryState, DeliveryTarget, TargetKind
from tests.delivering import notice
from tests.storing import new_tenant


class Mailbox(AsyncMessage):
    """Keeps what comes. `refuses`: it takes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[Any] = []
        self.refuses = False

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802  aiosmtpd's name
        envelope.mail_from = address
        return "451 not now" if self.refuses else "250 OK"

    async def handle_message(self, message: Any) -> None:
        self.messages.append(email.message_from_bytes(message.as_bytes(), policy=email.policy.default))


@pytest.fixture
def mailbox(settings: Any) -> Iterator[Mailbox]:
    handler = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    settings.AUDITLOG_EMAIL_URL = "smtp://127.0.0.1"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
    try:
        yield handler
    finally:
        controller.stop()


def sent(tenant: Tenant, **fields: str) -> Delivery:
    target, _ = create_target(tenant.id, "user:root", NewTarget(name="mail", kind=TargetKind.EMAIL, email_addresses=("a@example.com", "b@example.com")))
    now = datetime.datetime.now(datetime.UTC)
    with transaction.atomic():
        deliveries.enqueue(tenant.id, [target.pk], notice(**fields), now)
    deliveries.send(target.pk)
    return Delivery.objects.get(target=target)


def test_mail_arrives_with_text_and_page(mailbox: Mailbox) -> None:
    delivery = sent(new_tenant(), text="<b>5</b> entries.")
    assert delivery.state == DeliveryState.DELIVERED
    [message] = mailbox.messages
    assert (message["Subject"], message["To"]) == ("[ERROR] Password guessing", "a@example.com, b@example.com")
    assert delivery.pk.hex in message["Message-ID"]
    assert message.get_body(("plain",)).get_content().strip() == "<b>5</b> entries."
    assert "&lt;b&gt;5&lt;/b&gt; entries." in message.get_body(("html",)).get_content()


def test_name_of_a_rule_adds_no_header(mailbox: Mailbox) -> None:
    sent(new_tenant(), title="x\r\nBcc: mallory@example.com\r\n\r\nbody")
    [message] = mailbox.messages
    assert message["Bcc"] is None
    assert " ".join(message["Subject"].split()) == "[ERROR] x Bcc: mallory@example.com body"


def test_server_that_refuses_is_tried_again(mailbox: Mailbox) -> None:
    mailbox.refuses = True
    delivery = sent(new_tenant())
    assert delivery.state == DeliveryState.WAITING
    assert "451" in delivery.attempts.get().error


def test_without_a_mail_server_no_mailbox_is_taken(settings: Any) -> None:
    settings.AUDITLOG_EMAIL_URL = ""
    tenant = new_tenant()
    with pytest.raises(Invalid) as refused:
        create_target(tenant.id, "user:root", NewTarget(name="mail", kind=TargetKind.EMAIL, email_addresses=("a@example.com",)))
    assert [fault.code for fault in refused.value.faults] == ["no_mail"]
    assert not DeliveryTarget.objects.filter(tenant=tenant).exists()
