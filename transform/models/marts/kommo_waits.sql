{{ config(pre_hook='{{ kommo_chats.forget_touched() }}') }}

{%- set expiry_s = 86400 * var('kommo_expiry_days') -%}
{%- set target_s = 60 * var('kommo_target_minutes') -%}
{%- set in_order = "partition by conversation_id order by at_s, place, sent_at, item_id" -%}
{%- set in_block = "partition by conversation_id, block order by at_s, place, sent_at, item_id" -%}
{%- set until_here = "rows between unbounded preceding and current row" -%}
{%- set before_here = "rows between unbounded preceding and 1 preceding" %}
-- depends_on: {{ ref('int_kommo__touched') }}
{%- if kommo_chats.is_untouched() %}
{{ kommo_chats.nothing() }}
{%- else %}
with items as (

    -- Within one second, which is all that some sources tell, the customer comes first.
    select
        conversation_id,
        message_id as item_id,
        talk_id,
        {{ kommo_chats.epoch('sent_at') }} as at_s,
        sent_at,
        case when actor = 'customer' then 0 when is_reply then 2 else 1 end as place
    from {{ ref('kommo_messages') }}
    where not is_failed and (actor in ('customer', 'bot') or is_reply)
    {{- kommo_chats.of_touched('and') }}

    union all

    select
        conversation_id,
        event_id,
        talk_id,
        happened_s,
        happened_at,
        3
    from {{ ref('int_kommo__events') }}
    where type = 'talk_closed'
    {{- kommo_chats.of_touched('and') }}

),

counted as (

    select
        *,
        sum(case when place = 0 then 1 else 0 end) over (
            {{ in_order }} {{ until_here }}
        ) as customers
    from items

),

-- A talk that is closed ends the wait of a customer who wrote in it last.
ending as (

    select
        *,
        case
            when place = 2 then 1
            when place = 3 and customers > 0
                and coalesce(
                    max(case when place = 0 then talk_id end) over (
                        partition by conversation_id, customers
                    ),
                    talk_id
                ) = talk_id
                then 1
            else 0
        end as ends
    from counted

),

-- What begins after one end and goes to the next, that one included.
blocks as (

    select
        *,
        coalesce(sum(ends) over ({{ in_order }} {{ before_here }}), 0) as block
    from ending

),

silences as (

    select
        *,
        max(case when place = 0 then at_s end) over (
            {{ in_block }} {{ before_here }}
        ) as asked_before_s
    from blocks

),

-- Within a block, a customer who was silent for so long begins another wait.
numbered as (

    select
        *,
        sum(
            case
                when place = 0
                    and (
                        asked_before_s is null
                        or at_s - asked_before_s > {{ expiry_s }}
                    )
                    then 1
                else 0
            end
        ) over ({{ in_block }} {{ until_here }}) as number,
        row_number() over (
            partition by conversation_id, block, place
            order by at_s, sent_at, item_id
        ) as place_number
    from silences

),

asked as (

    select
        conversation_id,
        block,
        number,
        min(case when place = 0 then at_s end) as started_s,
        max(case when place = 0 then at_s end) as last_message_s,
        max(case when place = 0 then sent_at end) as last_message_at,
        min(case when place = 0 then place_number end) as first_place_number,
        {{ kommo_chats.count_if('place = 0') }} as customer_messages,
        {{ kommo_chats.count_if(
            'place = 1 and at_s - asked_before_s <= ' ~ expiry_s
        ) }} as bot_messages,
        min(
            case
                when place = 1 and at_s - asked_before_s <= {{ expiry_s }} then sent_at
            end
        ) as first_bot_at,
        max(
            case
                when place = 1 and at_s - asked_before_s <= {{ expiry_s }} then at_s
            end
        ) as last_bot_s
    from numbered
    where number > 0
    group by conversation_id, block, number

),

ends as (

    select
        conversation_id,
        block,
        number,
        at_s as ended_s,
        sent_at as ended_at,
        place = 2 as is_reply,
        item_id
    from numbered
    where ends = 1

),

waits as (

    select
        asked.*,
        firsts.item_id as message_id,
        firsts.talk_id,
        case
            when ends.is_reply and ends.ended_s - asked.last_message_s <= {{ expiry_s }}
                then ends.item_id
        end as reply_id,
        case
            when ends.ended_s - asked.last_message_s <= {{ expiry_s }}
                then case when ends.is_reply then 'answered' else 'closed' end
            when ends.ended_s is null
                and lead(asked.number) over (
                    partition by asked.conversation_id order by asked.block, asked.number
                ) is null
                then 'waiting'
            else 'expired'
        end as state,
        ends.ended_s,
        ends.ended_at
    from asked
    inner join numbered as firsts
        on firsts.conversation_id = asked.conversation_id
        and firsts.block = asked.block
        and firsts.place = 0
        and firsts.place_number = asked.first_place_number
    left join ends
        on ends.conversation_id = asked.conversation_id
        and ends.block = asked.block
        and ends.number = asked.number

),

settled as (

    select
        waits.*,
        firsts.account_id,
        firsts.lead_id,
        firsts.origin,
        firsts.sent_at as started_at,
        firsts.local_day as started_day,
        firsts.is_business_hours as is_started_in_business_hours,
        coalesce(accounts.calendar_id, unknown_account.calendar_id) as calendar_id,
        case
            when waits.state = 'waiting'
                and as_of.as_of_s - waits.last_message_s > {{ expiry_s }}
                then 'expired'
            else waits.state
        end as settled_state
    from waits
    inner join {{ ref('kommo_messages') }} as firsts
        on firsts.conversation_id = waits.conversation_id
        and firsts.message_id = waits.message_id
    left join {{ ref('int_kommo__accounts') }} as accounts
        on accounts.account_id = firsts.account_id
    inner join {{ ref('int_kommo__accounts') }} as unknown_account
        on unknown_account.account_id = 0
    inner join {{ ref('int_kommo__as_of') }} as as_of
        on as_of.account_id = coalesce(accounts.account_id, 0)

),

measured as (

    select
        settled.*,
        replies.sent_at as replied_at,
        replies.local_day as replied_day,
        replies.message_id as reply_message_id,
        replies.actor as replied_by,
        replies.author_name as replied_by_name,
        replies.author_user_id as replied_by_user_id,
        replies.credited_user_id,
        case when replies.message_id is not null then settled.ended_s end as replied_s,
        case
            when replies.message_id is null then null
            when from_piece.from_s is null or to_piece.from_s is null
                then settled.ended_s - settled.started_s
            else {{ kommo_chats.office_clock('settled.ended_s', 'to_piece') }}
                - {{ kommo_chats.office_clock('settled.started_s', 'from_piece') }}
        end as wait_business_seconds
    from settled
    left join {{ ref('kommo_messages') }} as replies
        on replies.conversation_id = settled.conversation_id
        and replies.message_id = settled.reply_id
    left join {{ ref('int_kommo__calendar') }} as from_piece
        on {{ kommo_chats.in_piece(
            'settled.calendar_id', 'settled.started_s', 'from_piece'
        ) }}
    left join {{ ref('int_kommo__calendar') }} as to_piece
        on {{ kommo_chats.in_piece('settled.calendar_id', 'settled.ended_s', 'to_piece') }}

)

select
    account_id,
    conversation_id,
    talk_id,
    lead_id,
    origin,
    message_id,
    started_at,
    started_day,
    is_started_in_business_hours,
    last_message_at,
    customer_messages,
    bot_messages,
    first_bot_at,
    settled_state as state,
    case
        when settled_state in ('answered', 'closed') then ended_at
        when settled_state = 'expired'
            then {{ kommo_chats.moment('last_message_s + ' ~ expiry_s) }}
    end as ended_at,
    replied_at,
    replied_day,
    reply_message_id,
    replied_by,
    replied_by_name,
    replied_by_user_id,
    credited_user_id,
    replied_s - started_s as wait_seconds,
    wait_business_seconds,
    replied_s - last_bot_s as wait_after_bot_seconds,
    replied_s - last_message_s as wait_after_last_message_seconds,
    row_number() over (
        partition by conversation_id, talk_id order by started_s, block, number
    ) = 1 as is_first_of_talk,
    case
        when settled_state = 'answered' then wait_business_seconds <= {{ target_s }}
        when settled_state = 'expired' then false
    end as is_within_target
from measured
{%- endif %}
