"""A local stand-in for the part of Kommo that the tap reads.

It is a development tool: it binds to this machine only, its secret is public
and its conversations are invented. Start it with ``python -m sandbox``, or in a
test with ``with Sandbox(seeded_store()) as sandbox:``.
"""

from sandbox.conversations import ConversationStore, Row
from sandbox.seed import seeded_store
from sandbox.server import Sandbox, SeenRequest
from sandbox.verification import PageRequest

__all__ = [
    "ConversationStore",
    "PageRequest",
    "Row",
    "Sandbox",
    "SeenRequest",
    "seeded_store",
]
