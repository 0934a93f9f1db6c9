"""Whatever a server answers and a configuration has, there is a report."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tap_kommo_chats.check.ask import Answer
from tap_kommo_chats.check.chat_lines import chat_lines
from tap_kommo_chats.check.chats import ChatsAnswers
from tap_kommo_chats.check.crm import CrmAnswers
from tap_kommo_chats.check.crm_lines import endpoint_lines, origins_lines
from tap_kommo_chats.check.sightings import chats_sightings, crm_sightings, same_ids
from tap_kommo_chats.check.usable import usable_settings
from tap_kommo_chats.kommo.history import History
from tap_kommo_chats.origins import EVERY, Origins
from tap_kommo_chats.settings.schema import SETTINGS_SCHEMA

STREAMS = frozenset(
    ("accounts", "chat_history", "leads", "pipelines", "talk_messages", "users")
)
ORIGINS = Origins(frozenset(("own",)), frozenset((EVERY,)))
NAMES = (
    *("id", "talk_id", "chat_id", "origin", "type", "created_at", "updated_at"),
    *("sec_created_at", "value_after", "message", "entity_type", "entity_id"),
    *("timestamp", "message_type", "delivery_status", "amojo_id", "_links", "odd"),
)
PLAIN = st.none() | st.booleans() | st.integers() | st.sampled_from(("own", "", "1"))
VALUES = PLAIN | st.lists(PLAIN, max_size=2) | st.dictionaries(st.just("next"), PLAIN)
OBJECTS = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, VALUES))
ROWS = st.lists(PLAIN | OBJECTS, max_size=3)


@st.composite
def crm_answers(draw: st.DrawFn) -> CrmAnswers:
    rows = draw(ROWS)
    embedded = dict.fromkeys(("events", "talks", "messages", "leads"), rows)
    top = draw(OBJECTS)
    answer = Answer(was_asked=True, status=200, content={**top, "_embedded": embedded})
    answers = CrmAnswers()
    for field in fields(CrmAnswers):
        if isinstance(getattr(answers, field.name), Answer):
            setattr(answers, field.name, answer)
    answers.talk = answers.longest(ORIGINS, own=draw(st.booleans()))
    return answers


@st.composite
def chats_answers(draw: st.DrawFn) -> ChatsAnswers:
    content = History(draw(ROWS), mended=False)
    answer = Answer(was_asked=True, status=200, content=content)
    return ChatsAnswers(draw(st.booleans()), draw(st.booleans()), answer, answer)


@given(crm_answers(), chats_answers())
def test_any_answer_has_its_lines(crm: CrmAnswers, chats: ChatsAnswers) -> None:
    lines = [
        *endpoint_lines(crm, STREAMS),
        *origins_lines(crm, ORIGINS),
        *chat_lines(chats),
    ]
    sightings = [*crm_sightings(crm), *chats_sightings(chats), same_ids(crm, chats)]

    assert all(line.text for line in lines)
    assert all(each.seen in {True, False, None} for each in sightings)


@given(
    st.dictionaries(
        st.sampled_from(tuple(SETTINGS_SCHEMA["properties"])),
        VALUES | st.just("https://example.kommo.com"),
    )
)
def test_any_configuration_is_used_as_far_as_it_can_be(config: dict[str, Any]) -> None:
    usable = usable_settings(config)

    assert usable.crm is None or usable.crm.crm is not None
    assert usable.channel is None or usable.channel.has_channel
