{{ config(pre_hook='{{ kommo_chats.forget_touched_days() }}') }}

-- depends_on: {{ ref('int_kommo__touched') }}
-- depends_on: {{ ref('int_kommo__touched_days') }}
{%- if kommo_chats.is_untouched() %}
{{ kommo_chats.nothing() }}
{%- else %}
with touched as (

    {{ kommo_chats.touched_days() if kommo_chats.is_bit_by_bit() else 'select 1 as none' }}

),

messages as (

    select * from {{ ref('kommo_messages') }}
    {{- kommo_chats.of_touched_days('where', 'kommo_messages.local_day') }}

),

waits as (

    select * from {{ ref('kommo_waits') }}
    {{- kommo_chats.of_touched_days('where', 'started_day') }}

),

volumes as (

    select
        account_id,
        origin,
        local_day,
        count(distinct conversation_id) as conversations,
        {{ kommo_chats.count_if("actor = 'customer'") }} as customer_messages,
        {{ kommo_chats.count_if("actor = 'agent'") }} as agent_messages,
        {{ kommo_chats.count_if("actor = 'bot'") }} as bot_messages,
        {{ kommo_chats.count_if("actor = 'unknown'") }} as unknown_messages,
        {{ kommo_chats.count_if('is_failed') }} as failed_messages
    from messages
    group by account_id, origin, local_day

),

waited as (

    select
        account_id,
        origin,
        started_day as local_day,
        count(*) as waits_begun,
        {{ kommo_chats.count_if("state = 'answered'") }} as waits_answered,
        {{ kommo_chats.count_if("state = 'closed'") }} as waits_closed,
        {{ kommo_chats.count_if("state = 'expired'") }} as waits_expired,
        {{ kommo_chats.count_if("state = 'waiting'") }} as waits_open,
        {{ kommo_chats.count_if('is_within_target') }} as waits_within_target,
        count(is_within_target) as waits_judged,
        {{ kommo_chats.count_if("replied_by = 'unknown'") }} as waits_answered_by_unknown,
        {{ kommo_chats.percentile('wait_seconds', 0.5) }} as median_wait_seconds,
        {{ kommo_chats.percentile('wait_seconds', 0.9) }} as p90_wait_seconds,
        {{ kommo_chats.percentile('wait_business_seconds', 0.5) }}
            as median_wait_business_seconds,
        {{ kommo_chats.percentile('wait_business_seconds', 0.9) }}
            as p90_wait_business_seconds,
        cast(avg(wait_after_last_message_seconds) as {{ kommo_chats.type_double() }})
            as mean_wait_after_last_message_seconds
    from waits
    group by account_id, origin, started_day

)

select
    volumes.account_id,
    volumes.origin,
    volumes.local_day,
    volumes.conversations,
    volumes.customer_messages,
    volumes.agent_messages,
    volumes.bot_messages,
    volumes.unknown_messages,
    volumes.failed_messages,
    coalesce(waited.waits_begun, 0) as waits_begun,
    coalesce(waited.waits_answered, 0) as waits_answered,
    coalesce(waited.waits_answered_by_unknown, 0) as waits_answered_by_unknown,
    coalesce(waited.waits_closed, 0) as waits_closed,
    coalesce(waited.waits_expired, 0) as waits_expired,
    coalesce(waited.waits_open, 0) as waits_open,
    coalesce(waited.waits_within_target, 0) as waits_within_target,
    case
        when waited.waits_judged > 0
            then cast(waited.waits_within_target as {{ kommo_chats.type_double() }})
                / waited.waits_judged
    end as share_within_target,
    waited.median_wait_seconds,
    waited.p90_wait_seconds,
    waited.median_wait_business_seconds,
    waited.p90_wait_business_seconds,
    waited.mean_wait_after_last_message_seconds
from volumes
left join waited
    on coalesce(waited.account_id, 0) = coalesce(volumes.account_id, 0)
    and coalesce(waited.origin, '') = coalesce(volumes.origin, '')
    and waited.local_day = volumes.local_day
{%- endif %}
