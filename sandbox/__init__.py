"""A local stand-in for the part of Kommo that the tap reads.

It is a development tool: it binds to this machine only, its secret is public
and its conversations are invented. Start it with ``python -m sandbox``, or in a
test with ``with Sandbox(seeded_store()) as sandbox:``. It misbehaves on command:
see ``Faults``.
"""

from sandbox.conversations import ConversationStore, Row
from sandbox.crm import CRM_TOKEN, OWN_ORIGIN, CrmStore
from sandbox.faults import Faults, Strike, strike
from sandbox.seed import generated_store, seeded_crm, seeded_store
from sandbox.server import Sandbox, SeenRequest
from sandbox.verification import PageRequest

__all__ = [
    "CRM_TOKEN",
    "OWN_ORIGIN",
    "ConversationStore",
    "CrmStore",
    "Faults",
    "PageRequest",
    "Row",
    "Sandbox",
    "SeenRequest",
    "Strike",
    "generated_store",
    "seeded_crm",
    "seeded_store",
    "strike",
]
