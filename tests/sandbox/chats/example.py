"""The published worked example of a signature."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from datetime import datetime, timezone

from sandbox import RequestParts

SECRET = "fb50586ff7b68cd831fe0ef356345903f644c0d2"  # noqa: S105 - published example


SCOPE_ID = "f62a0162-46a7-430e-b06c-0ef798d76a21_52fd2a28-d2eb-4bd8-b862-a67934927b38"


CHAT_ID = "30477717-9f3c-4d3f-8101-60327e14dc48"


PATH = f"/v2/origin/custom/{SCOPE_ID}/chats/{CHAT_ID}/history"


DATE = "Tue, 13 Dec 2022 11:00:00 +0000"


NOW = datetime(2022, 12, 13, 11, tzinfo=timezone.utc).timestamp()


EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"


SIGNATURE = "2a2593df86235c44943a40ce35409d18bda5778c"


EXAMPLE = RequestParts(
    method="GET",
    target=PATH + "?offset=0&limit=50",
    headers={
        "Date": DATE,
        "Content-Type": "application/json",
        "Content-MD5": EMPTY_MD5,
        "X-Signature": SIGNATURE,
    },
)


def signed(path: str = PATH, **changes: str) -> RequestParts:
    """Sign a GET of a path, with some headers changed before it is signed."""
    headers = {**EXAMPLE.headers, **changes}
    text = "\n".join(
        (
            "GET",
            headers["Content-MD5"],
            headers["Content-Type"],
            headers["Date"],
            path,
        )
    )
    headers["X-Signature"] = hmac.new(
        SECRET.encode(), text.encode(), hashlib.sha1
    ).hexdigest()
    return replace(EXAMPLE, target=path + "?offset=0&limit=50", headers=headers)
