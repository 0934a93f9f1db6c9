{{ config(materialized='table') }}

{%- set target_s = 60 * var('kommo_target_minutes') %}
with waiting as (

    select
        waits.*,
        {{ kommo_chats.epoch('waits.started_at') }} as started_s,
        as_of.as_of_s,
        coalesce(accounts.calendar_id, unknown_account.calendar_id) as calendar_id
    from {{ ref('kommo_waits') }} as waits
    left join {{ ref('int_kommo__accounts') }} as accounts
        on accounts.account_id = waits.account_id
    inner join {{ ref('int_kommo__accounts') }} as unknown_account
        on unknown_account.account_id = 0
    inner join {{ ref('int_kommo__as_of') }} as as_of
        on as_of.account_id = coalesce(accounts.account_id, 0)
    where waits.state = 'waiting'

),

measured as (

    select
        waiting.*,
        case
            when as_of_s < started_s then 0
            else as_of_s - started_s
        end as waiting_seconds,
        case
            when as_of_s < started_s then 0
            when from_piece.from_s is null or to_piece.from_s is null
                then as_of_s - started_s
            else {{ kommo_chats.office_clock('as_of_s', 'to_piece') }}
                - {{ kommo_chats.office_clock('started_s', 'from_piece') }}
        end as waiting_business_seconds
    from waiting
    left join {{ ref('int_kommo__calendar') }} as from_piece
        on {{ kommo_chats.in_piece('waiting.calendar_id', 'started_s', 'from_piece') }}
    left join {{ ref('int_kommo__calendar') }} as to_piece
        on {{ kommo_chats.in_piece('waiting.calendar_id', 'as_of_s', 'to_piece') }}

)

select
    row_number() over (
        order by measured.started_at, measured.conversation_id
    ) as place,
    measured.account_id,
    measured.conversation_id,
    measured.talk_id,
    measured.lead_id,
    measured.origin,
    measured.message_id,
    measured.started_at,
    measured.last_message_at,
    measured.customer_messages,
    measured.bot_messages,
    measured.is_first_of_talk,
    measured.waiting_seconds,
    measured.waiting_business_seconds,
    measured.waiting_business_seconds > {{ target_s }} as is_beyond_target,
    conversations.pipeline_name,
    conversations.status_name,
    conversations.responsible_user_id,
    conversations.responsible_name,
    {{ kommo_chats.moment('measured.as_of_s') }} as as_of
from measured
left join {{ ref('kommo_conversations') }} as conversations
    on conversations.conversation_id = measured.conversation_id
