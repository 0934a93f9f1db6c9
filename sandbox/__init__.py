"""A local stand-in for the part of Kommo that the tap reads.

It is a development tool: it binds to this machine only, its secret is public
and its conversations are invented. Start it with ``python -m sandbox``, or in a
test with ``with Sandbox(seeded_store()) as sandbox:``. It misbehaves on command:
see ``Faults``. Its CRM refuses on command what a plan, a token or a user's rights may
not have, and answers in each of the ways that Kommo may: see ``Terms``.

Each of Kommo's two APIs has a folder, with what there is in ``store`` and what is
asked and answered in ``api``. ``server`` treats both alike, by the protocol ``Api``.
"""

from sandbox.account import ACCOUNT_ID, AMOJO_ID, USER_ID
from sandbox.api import Refusal, RequestParts
from sandbox.chats.api import CHANNEL_SECRET, SCOPE_ID, ChatsApi, PageRequest
from sandbox.chats.store import ConversationStore, Row
from sandbox.crm.api import CRM_TOKEN, CrmApi
from sandbox.crm.endpoints import CRM_ROOT
from sandbox.crm.item import OWN_ORIGIN
from sandbox.crm.messages import BOT_AUTHOR, PHONE_AUTHOR
from sandbox.crm.request import CrmRequest
from sandbox.crm.store import CrmStore
from sandbox.crm.terms import Terms
from sandbox.crm.tokens import long_lived_token
from sandbox.exchange import SeenRequest
from sandbox.faults import Faults, Strike, strike
from sandbox.seed.conversations import (
    NAMED_CONVERSATION_ID,
    generated_store,
    seeded_store,
)
from sandbox.seed.crm import seeded_crm
from sandbox.server import Sandbox
from sandbox.webhooks import WebhooksFile

__all__ = [
    "ACCOUNT_ID",
    "AMOJO_ID",
    "BOT_AUTHOR",
    "CHANNEL_SECRET",
    "CRM_ROOT",
    "CRM_TOKEN",
    "NAMED_CONVERSATION_ID",
    "OWN_ORIGIN",
    "PHONE_AUTHOR",
    "SCOPE_ID",
    "USER_ID",
    "ChatsApi",
    "ConversationStore",
    "CrmApi",
    "CrmRequest",
    "CrmStore",
    "Faults",
    "PageRequest",
    "Refusal",
    "RequestParts",
    "Row",
    "Sandbox",
    "SeenRequest",
    "Strike",
    "Terms",
    "WebhooksFile",
    "generated_store",
    "long_lived_token",
    "seeded_crm",
    "seeded_store",
    "strike",
]
