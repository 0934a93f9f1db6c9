"""Figures of days, talks and conversations, worked out from lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.transform.talks import Talks, grouped, states, volumes
from tests.transform.waits import Wait, whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.transform.people import Message
    from tests.transform.world import Row


class Figures(Talks):
    """All tables that are worked out from messages and waits."""

    def daily(self) -> list[Row]:
        """`kommo_daily`: by channel and local day."""
        waits = grouped(self.waits, lambda w: (w.account_id, w.origin, w.started_day))
        messages = grouped(
            self.messages, lambda m: (m.account_id, m.origin, m.local_day)
        )
        return [
            {
                **dict(zip(("account_id", "origin", "local_day"), key, strict=True)),
                "conversations": len({m.conversation_id for m in said}),
                **volumes(said),
                **states(waits.get(key, [])),
                "waits_begun": len(waits.get(key, [])),
                "waits_answered_by_unknown": sum(
                    w.replied_by == "unknown" for w in waits.get(key, [])
                ),
                **_times(waits.get(key, [])),
                "mean_wait_after_last_message_seconds": _mean(
                    [w.wait_after_last_message_seconds for w in waits.get(key, [])]
                ),
            }
            for key, said in messages.items()
        ]

    def agents_daily(self) -> list[Row]:
        """`kommo_agents_daily`: by agent and local day."""
        replies = grouped(
            [m for m in self.messages if not m.is_failed and _is_ours(m)],
            lambda m: (m.account_id, m.local_day, _agent(m.author_user_id, m.actor, m)),
        )
        waits = grouped(
            [w for w in self.waits if w.state == "answered"],
            lambda w: (
                w.account_id,
                w.replied_day,
                _agent(w.replied_by_user_id, w.replied_by, w),
            ),
        )
        credited = grouped(
            [m for group in replies.values() for m in group if _is_credited(m)],
            lambda m: (m.account_id, m.local_day, str(m.credited_user_id)),
        )
        credited_waits = grouped(
            [
                w
                for group in waits.values()
                for w in group
                if w.replied_by_user_id is None and w.credited_user_id is not None
            ],
            lambda w: (w.account_id, w.replied_day, str(w.credited_user_id)),
        )
        rows = []
        for key in {**replies, **credited}:
            account_id, day, agent = key
            said, ended = replies.get(key, []), waits.get(key, [])
            ids = [m.author_user_id for m in said] + [
                m.credited_user_id for m in credited.get(key, [])
            ]
            user_id = next((each for each in ids if each is not None), None)
            user = self.people.user(account_id, user_id)
            rows.append(
                {
                    "account_id": account_id,
                    "local_day": day,
                    "agent": agent,
                    "user_id": user_id,
                    "agent_name": user.get("name") or agent,
                    "replies": len(said),
                    "replies_in_business_hours": sum(m.is_business_hours for m in said),
                    "conversations": len({m.conversation_id for m in said}),
                    "waits_answered": len(ended),
                    "first_responses": sum(w.is_first_of_talk for w in ended),
                    **_times(ended),
                    "credited_replies": len(credited.get(key, [])),
                    "credited_waits_answered": len(credited_waits.get(key, [])),
                }
            )
        return rows

    def unanswered(self) -> list[Row]:
        """`kommo_unanswered`: who waits, oldest first."""
        as_of = self.people.world.as_of()
        waiting = sorted(
            (w for w in self.waits if w.state == "waiting"),
            key=lambda w: (w.started_at, w.conversation_id),
        )
        rows = []
        for place, wait in enumerate(waiting, 1):
            start, end = whole(wait.started_at), whole(as_of or wait.started_at)
            office = self.people.office(wait.account_id)
            business = office.seconds(start, end)
            rows.append(
                {
                    "place": place,
                    "conversation_id": wait.conversation_id,
                    "message_id": wait.message_id,
                    "waiting_seconds": max(0, int((end - start).total_seconds())),
                    "waiting_business_seconds": business,
                    "is_beyond_target": business
                    > 60 * self.people.world.variables.target_minutes,
                    "as_of": end,
                }
            )
        return rows


def _is_ours(message: Message) -> bool:
    return message.actor in {"agent", "unknown"}


def _is_credited(message: Message) -> bool:
    return message.author_user_id is None and message.credited_user_id is not None


def _agent(user_id: int | None, actor: str | None, what: Message | Wait) -> str:
    if user_id is not None:
        return str(user_id)
    name = what.replied_by_name if isinstance(what, Wait) else what.author_name
    return name if actor == "agent" and name else "unknown"


def _times(waits: list[Wait]) -> Row:
    wall = [w.wait_seconds for w in waits]
    business = [w.wait_business_seconds for w in waits]
    judged = [w.is_within_target for w in waits if w.is_within_target is not None]
    return {
        "waits_within_target": sum(judged),
        "share_within_target": sum(judged) / len(judged) if judged else None,
        "median_wait_seconds": percentile(wall, 0.5),
        "p90_wait_seconds": percentile(wall, 0.9),
        "median_wait_business_seconds": percentile(business, 0.5),
        "p90_wait_business_seconds": percentile(business, 0.9),
    }


def _mean(values: Sequence[int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def percentile(values: Sequence[int | None], share: float) -> float | None:
    """Return a percentile, between two values where it falls between them."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    place = share * (len(known) - 1)
    low = int(place)
    high = min(low + 1, len(known) - 1)
    return known[low] + (known[high] - known[low]) * (place - low)
