{{ config(severity='warn') }}

{#- An event is joined to its message by the message's id. Where a conversation has many
  of both and none are the same, Kommo counts them apart, and here each counts twice. -#}
with counted as (

    select
        messages.conversation_id,
        count(case when messages.stream = 'chat_events' then 1 end) as without_message,
        count(case when messages.stream <> 'chat_events' then 1 end) as with_message,
        count(events.message_id) as named
    from {{ ref('kommo_messages') }} as messages
    left join (
        select distinct
            conversation_id,
            message_id
        from {{ ref('int_kommo__events') }}
        where message_id is not null
    ) as events
        on events.conversation_id = messages.conversation_id
        and events.message_id = case
            when messages.stream <> 'chat_events' then messages.message_id
        end
    group by messages.conversation_id

)

select *
from counted
where without_message >= 5 and with_message >= 5 and named = 0
