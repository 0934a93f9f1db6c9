with events as (

    select * from {{ ref('stg_kommo__chat_events') }}

),

talks as (

    select * from {{ ref('stg_kommo__talks') }}
    where conversation_id is not null

),

-- Events of talks that are not loaded: another one of the talk may name a message that
-- is, or a message the talk.
others as (

    select events.*
    from events
    left join talks
        on talks.account_id = events.account_id and talks.talk_id = events.talk_id
    where talks.talk_id is null

),

leads_to as (

    select
        others.account_id,
        others.talk_id,
        own.conversation_id
    from others
    inner join {{ ref('stg_kommo__chat_history') }} as own
        on own.message_id = others.message_id

    union all

    select
        others.account_id,
        others.talk_id,
        native.conversation_id
    from others
    inner join {{ ref('stg_kommo__talk_messages') }} as native
        on native.account_id = others.account_id
        and native.message_id = others.message_id

    union all

    select
        native.account_id,
        native.talk_id,
        native.conversation_id
    from (select distinct account_id, talk_id from others) as unknown_talks
    inner join {{ ref('stg_kommo__talk_messages') }} as native
        on native.account_id = unknown_talks.account_id
        and native.talk_id = unknown_talks.talk_id

),

found as (

    select
        account_id,
        talk_id,
        min(conversation_id) as conversation_id
    from leads_to
    group by account_id, talk_id

)

select
    events.account_id,
    events.event_id,
    events.type,
    events.happened_at,
    events.happened_s,
    coalesce(
        talks.conversation_id,
        found.conversation_id,
        {{ kommo_chats.conversation_of_talk('events.account_id', 'events.talk_id') }}
    ) as conversation_id,
    events.talk_id,
    events.message_id,
    coalesce(events.origin, talks.origin) as origin,
    events.contact_id,
    events.user_id
from events
left join talks
    on talks.account_id = events.account_id and talks.talk_id = events.talk_id
left join found
    on found.account_id = events.account_id and found.talk_id = events.talk_id
