{{ config(pre_hook='{{ kommo_chats.forget_touched() }}') }}

-- depends_on: {{ ref('int_kommo__touched') }}
{%- if kommo_chats.is_untouched() %}
{{ kommo_chats.nothing() }}
{%- else %}
with messages as (

    select * from {{ ref('kommo_messages') }}
    {{- kommo_chats.of_touched('where') }}

),

waits as (

    select * from {{ ref('kommo_waits') }}
    {{- kommo_chats.of_touched('where') }}

),

talks as (

    select * from {{ ref('kommo_talks') }}
    {{- kommo_chats.of_touched('where') }}

),

counted as (

    select
        conversation_id,
        max(account_id) as account_id,
        max(origin) as origin,
        min(sent_at) as first_message_at,
        max(sent_at) as last_message_at,
        max(case when actor = 'customer' then sent_at end) as last_customer_message_at,
        max(case when is_reply then sent_at end) as last_reply_at,
        max(case when actor <> 'customer' and not is_failed then sent_at end)
            as last_outgoing_at,
        {{ kommo_chats.count_if("actor = 'customer'") }} as customer_messages,
        {{ kommo_chats.count_if("actor = 'agent'") }} as agent_messages,
        {{ kommo_chats.count_if("actor = 'bot'") }} as bot_messages,
        {{ kommo_chats.count_if("actor = 'unknown'") }} as unknown_messages,
        {{ kommo_chats.count_if('is_failed') }} as failed_messages
    from messages
    group by conversation_id

),

waited as (

    select
        conversation_id,
        count(*) as waits,
        {{ kommo_chats.count_if("state = 'answered'") }} as waits_answered,
        max(case when state = 'waiting' then started_at end) as waiting_since
    from waits
    group by conversation_id

),

last_waits as (

    select
        conversation_id,
        state,
        ended_at
    from (
        select
            *,
            row_number() over (
                partition by conversation_id order by started_at desc, message_id desc
            ) as place
        from waits
    ) as ordered
    where place = 1

),

last_talks as (

    select *
    from (
        select
            *,
            row_number() over (
                partition by conversation_id
                order by
                    coalesce(
                        created_at,
                        first_message_at,
                        {{ kommo_chats.moment(0) }}
                    ) desc,
                    talk_id desc
            ) as place
        from talks
    ) as ordered
    where place = 1

),

last_leads as (

    select
        conversation_id,
        account_id,
        lead_id
    from (
        select
            *,
            row_number() over (
                partition by conversation_id
                order by
                    coalesce(
                        created_at,
                        first_message_at,
                        {{ kommo_chats.moment(0) }}
                    ) desc,
                    talk_id desc
            ) as place
        from talks
        where lead_id is not null
    ) as ordered
    where place = 1

),

talk_counts as (

    select
        conversation_id,
        count(*) as talks
    from talks
    group by conversation_id

),

known as (

    select distinct conversation_id
    from (
        select conversation_id from counted
        union all
        select conversation_id from talks
    ) as either

),

acting as (

    select
        known.conversation_id,
        coalesce(counted.account_id, last_talks.account_id) as account_id,
        coalesce(counted.origin, last_talks.origin) as origin,
        counted.first_message_at,
        counted.last_message_at,
        counted.last_customer_message_at,
        counted.last_reply_at,
        coalesce(counted.customer_messages, 0) as customer_messages,
        coalesce(counted.agent_messages, 0) as agent_messages,
        coalesce(counted.bot_messages, 0) as bot_messages,
        coalesce(counted.unknown_messages, 0) as unknown_messages,
        coalesce(counted.failed_messages, 0) as failed_messages,
        coalesce(talk_counts.talks, 0) as talks,
        coalesce(waited.waits, 0) as waits,
        coalesce(waited.waits_answered, 0) as waits_answered,
        last_talks.talk_id as latest_talk_id,
        last_talks.contact_id,
        last_talks.is_open as is_latest_talk_open,
        last_talks.closed_at,
        last_leads.lead_id,
        last_leads.account_id as lead_account_id,
        waited.waiting_since,
        counted.last_outgoing_at,
        last_waits.ended_at as wait_ended_at,
        case
            when waited.waiting_since is not null then 'company'
            when counted.last_message_at is null then 'nobody'
            when last_waits.state in ('closed', 'expired')
                and coalesce(counted.last_reply_at, counted.first_message_at)
                    <= counted.last_customer_message_at
                then 'nobody'
            when not last_talks.is_open then 'nobody'
            when counted.last_outgoing_at is null then 'nobody'
            else 'customer'
        end as has_to_act
    from known
    left join counted
        on counted.conversation_id = known.conversation_id
    left join waited
        on waited.conversation_id = known.conversation_id
    left join last_waits
        on last_waits.conversation_id = known.conversation_id
    left join last_talks
        on last_talks.conversation_id = known.conversation_id
    left join last_leads
        on last_leads.conversation_id = known.conversation_id
    left join talk_counts
        on talk_counts.conversation_id = known.conversation_id

)

select
    acting.account_id,
    acting.conversation_id,
    acting.origin,
    acting.contact_id,
    acting.has_to_act,
    case
        when acting.has_to_act = 'company' then acting.waiting_since
        when acting.has_to_act = 'customer'
            then coalesce(acting.last_reply_at, acting.last_outgoing_at)
        else coalesce(acting.closed_at, acting.wait_ended_at, acting.last_message_at)
    end as since,
    acting.first_message_at,
    acting.last_message_at,
    acting.last_customer_message_at,
    acting.last_reply_at,
    acting.customer_messages,
    acting.agent_messages,
    acting.bot_messages,
    acting.unknown_messages,
    acting.failed_messages,
    acting.talks,
    acting.waits,
    acting.waits_answered,
    acting.latest_talk_id,
    acting.is_latest_talk_open,
    acting.lead_id,
    leads.pipeline_id,
    pipelines.pipeline_name,
    leads.status_id,
    pipelines.status_name,
    leads.responsible_user_id,
    users.name as responsible_name
from acting
left join {{ ref('stg_kommo__leads') }} as leads
    on leads.account_id = acting.lead_account_id and leads.lead_id = acting.lead_id
left join {{ ref('stg_kommo__pipelines') }} as pipelines
    on pipelines.account_id = leads.account_id
    and pipelines.pipeline_id = leads.pipeline_id
    and pipelines.status_id = leads.status_id
left join {{ ref('stg_kommo__users') }} as users
    on users.account_id = leads.account_id
    and users.user_id = leads.responsible_user_id
{%- endif %}
