{{ config(pre_hook='{{ kommo_chats.forget_touched_days() }}') }}

{%- set text = kommo_chats.type_text() %}
-- depends_on: {{ ref('int_kommo__touched') }}
-- depends_on: {{ ref('int_kommo__touched_days') }}
{%- if kommo_chats.is_untouched() %}
{{ kommo_chats.nothing() }}
{%- else %}
with touched as (

    {{ kommo_chats.touched_days() if kommo_chats.is_bit_by_bit() else 'select 1 as none' }}

),

replies as (

    select
        account_id,
        local_day,
        coalesce(
            cast(author_user_id as {{ text }}),
            case when actor = 'agent' then author_name end,
            'unknown'
        ) as agent,
        author_user_id,
        credited_user_id,
        conversation_id,
        is_business_hours
    from {{ ref('kommo_messages') }}
    where actor in ('agent', 'unknown') and not is_failed
    {{- kommo_chats.of_touched_days('and', 'kommo_messages.local_day') }}

),

waits as (

    select
        account_id,
        replied_day as local_day,
        coalesce(
            cast(replied_by_user_id as {{ text }}),
            case when replied_by = 'agent' then replied_by_name end,
            'unknown'
        ) as agent,
        replied_by_user_id,
        credited_user_id,
        wait_seconds,
        wait_business_seconds,
        is_within_target,
        is_first_of_talk
    from {{ ref('kommo_waits') }}
    where state = 'answered'
    {{- kommo_chats.of_touched_days('and', 'replied_day') }}

),

replied as (

    select
        account_id,
        local_day,
        agent,
        max(author_user_id) as user_id,
        count(*) as replies,
        count(distinct conversation_id) as conversations,
        {{ kommo_chats.count_if('is_business_hours') }} as replies_in_business_hours
    from replies
    group by account_id, local_day, agent

),

answered as (

    select
        account_id,
        local_day,
        agent,
        count(*) as waits_answered,
        {{ kommo_chats.count_if('is_first_of_talk') }} as first_responses,
        {{ kommo_chats.count_if('is_within_target') }} as waits_within_target,
        {{ kommo_chats.percentile('wait_seconds', 0.5) }} as median_wait_seconds,
        {{ kommo_chats.percentile('wait_seconds', 0.9) }} as p90_wait_seconds,
        {{ kommo_chats.percentile('wait_business_seconds', 0.5) }}
            as median_wait_business_seconds,
        {{ kommo_chats.percentile('wait_business_seconds', 0.9) }}
            as p90_wait_business_seconds
    from waits
    group by account_id, local_day, agent

),

-- What somebody without a user wrote, in leads that a user is responsible for.
credited as (

    select
        account_id,
        local_day,
        agent,
        max(credited_user_id) as user_id,
        sum(replies) as credited_replies,
        sum(waits) as credited_waits_answered
    from (
        select
            account_id,
            local_day,
            cast(credited_user_id as {{ text }}) as agent,
            credited_user_id,
            1 as replies,
            0 as waits
        from replies
        where author_user_id is null and credited_user_id is not null
        union all
        select
            account_id,
            local_day,
            cast(credited_user_id as {{ text }}),
            credited_user_id,
            0,
            1
        from waits
        where replied_by_user_id is null and credited_user_id is not null
    ) as either
    group by account_id, local_day, agent

),

users as (

    select
        account_id,
        user_id,
        cast(user_id as {{ text }}) as agent,
        name,
        group_name
    from {{ ref('stg_kommo__users') }}

),

known as (

    select distinct
        account_id,
        local_day,
        agent
    from (
        select account_id, local_day, agent from replied
        union all
        select account_id, local_day, agent from credited
    ) as either

)

select
    known.account_id,
    known.local_day,
    known.agent,
    coalesce(replied.user_id, credited.user_id) as user_id,
    coalesce(users.name, known.agent) as agent_name,
    users.group_name,
    coalesce(replied.replies, 0) as replies,
    coalesce(replied.replies_in_business_hours, 0) as replies_in_business_hours,
    coalesce(replied.conversations, 0) as conversations,
    coalesce(answered.waits_answered, 0) as waits_answered,
    coalesce(answered.first_responses, 0) as first_responses,
    coalesce(answered.waits_within_target, 0) as waits_within_target,
    case
        when answered.waits_answered > 0
            then cast(answered.waits_within_target as {{ kommo_chats.type_double() }})
                / answered.waits_answered
    end as share_within_target,
    answered.median_wait_seconds,
    answered.p90_wait_seconds,
    answered.median_wait_business_seconds,
    answered.p90_wait_business_seconds,
    cast(coalesce(credited.credited_replies, 0) as {{ kommo_chats.type_bigint() }})
        as credited_replies,
    cast(coalesce(credited.credited_waits_answered, 0) as {{ kommo_chats.type_bigint() }})
        as credited_waits_answered
from known
left join replied
    on coalesce(replied.account_id, 0) = coalesce(known.account_id, 0)
    and replied.local_day = known.local_day
    and replied.agent = known.agent
left join answered
    on coalesce(answered.account_id, 0) = coalesce(known.account_id, 0)
    and answered.local_day = known.local_day
    and answered.agent = known.agent
left join credited
    on coalesce(credited.account_id, 0) = coalesce(known.account_id, 0)
    and credited.local_day = known.local_day
    and credited.agent = known.agent
left join users
    on users.account_id = known.account_id
    and users.agent = known.agent
{%- endif %}
