{{ config(pre_hook='{{ kommo_chats.forget_touched() }}') }}

-- depends_on: {{ ref('int_kommo__touched') }}
{%- if kommo_chats.is_untouched() %}
{{ kommo_chats.nothing() }}
{%- else %}
with talks as (

    select * from {{ ref('int_kommo__talks') }}
    where 1 = 1
    {{- kommo_chats.of_touched('and') }}

),

messages as (

    select
        *,
        {{ kommo_chats.epoch('sent_at') }} as sent_s
    from {{ ref('kommo_messages') }}
    where talk_id is not null
    {{- kommo_chats.of_touched('and') }}

),

asked as (

    select
        conversation_id,
        talk_id,
        min(sent_s) as first_customer_s
    from messages
    where actor = 'customer'
    group by conversation_id, talk_id

),

-- A hand-off is a reply of another user than the one before.
replying as (

    select
        conversation_id,
        talk_id,
        author_user_id,
        lag(author_user_id) over (
            partition by conversation_id, talk_id order by sent_s, sent_at, message_id
        ) as author_before
    from messages
    where is_reply and author_user_id is not null

),

hands as (

    select
        conversation_id,
        talk_id,
        count(distinct author_user_id) as agents,
        {{ kommo_chats.count_if('author_user_id <> author_before') }} as hand_offs
    from replying
    group by conversation_id, talk_id

),

counted as (

    select
        messages.conversation_id,
        messages.talk_id,
        max(messages.account_id) as account_id,
        max(messages.origin) as origin,
        max(messages.lead_id) as lead_id,
        min(messages.sent_at) as first_message_at,
        max(messages.sent_at) as last_message_at,
        min(messages.sent_s) as first_message_s,
        max(case when not messages.is_failed then messages.sent_s end) as last_sent_s,
        max(asked.first_customer_s) as first_customer_s,
        min(
            case
                when messages.actor <> 'customer' and not messages.is_failed
                    then messages.sent_s
            end
        ) as first_outgoing_s,
        min(
            case
                when messages.actor = 'bot' and not messages.is_failed
                    and messages.sent_s >= asked.first_customer_s
                    then messages.sent_s
            end
        ) as first_bot_s,
        {{ kommo_chats.count_if("messages.actor = 'customer'") }} as customer_messages,
        {{ kommo_chats.count_if("messages.actor = 'agent'") }} as agent_messages,
        {{ kommo_chats.count_if("messages.actor = 'bot'") }} as bot_messages,
        {{ kommo_chats.count_if("messages.actor = 'unknown'") }} as unknown_messages,
        {{ kommo_chats.count_if('messages.is_failed') }} as failed_messages,
        {{ kommo_chats.count_if('messages.is_reply') }} as replies
    from messages
    left join asked
        on asked.conversation_id = messages.conversation_id
        and asked.talk_id = messages.talk_id
    group by messages.conversation_id, messages.talk_id

),

closed as (

    select
        conversation_id,
        talk_id,
        max(account_id) as account_id,
        max(origin) as origin,
        max(contact_id) as contact_id,
        min(case when type = 'talk_created' then happened_s end) as created_s,
        min(case when type = 'talk_created' then happened_at end) as created_at,
        min(case when type = 'talk_closed' then happened_s end) as first_closed_s,
        max(case when type = 'talk_closed' then happened_s end) as closed_s,
        max(case when type = 'talk_closed' then happened_at end) as closed_at
    from {{ ref('int_kommo__events') }}
    where talk_id is not null
    {{- kommo_chats.of_touched('and') }}
    group by conversation_id, talk_id

),

waited as (

    select
        conversation_id,
        talk_id,
        count(*) as waits,
        {{ kommo_chats.count_if("state = 'answered'") }} as waits_answered,
        {{ kommo_chats.count_if("state = 'closed'") }} as waits_closed,
        {{ kommo_chats.count_if("state = 'expired'") }} as waits_expired,
        {{ kommo_chats.count_if("state = 'waiting'") }} as waits_open
    from {{ ref('kommo_waits') }}
    where talk_id is not null
    {{- kommo_chats.of_touched('and') }}
    group by conversation_id, talk_id

),

firsts as (

    select * from {{ ref('kommo_waits') }}
    where is_first_of_talk and talk_id is not null
    {{- kommo_chats.of_touched('and') }}

),

known as (

    select distinct
        conversation_id,
        talk_id
    from (
        select conversation_id, talk_id from talks
        union all
        select conversation_id, talk_id from counted
        union all
        select conversation_id, talk_id from closed
    ) as any_of_them

),

joined as (

    select
        coalesce(talks.account_id, counted.account_id, closed.account_id) as account_id,
        known.talk_id,
        known.conversation_id,
        coalesce(talks.origin, counted.origin, closed.origin) as origin,
        coalesce(talks.contact_id, closed.contact_id) as contact_id,
        coalesce(talks.lead_id, counted.lead_id) as lead_id,
        coalesce(talks.created_at, closed.created_at) as created_at,
        counted.first_message_at,
        counted.last_message_at,
        coalesce(
            case when talks.created_s > 0 then talks.created_s end, closed.created_s
        ) as created_s,
        counted.first_message_s,
        counted.last_sent_s,
        counted.first_customer_s,
        counted.first_outgoing_s,
        counted.first_bot_s,
        coalesce(counted.customer_messages, 0) as customer_messages,
        coalesce(counted.agent_messages, 0) as agent_messages,
        coalesce(counted.bot_messages, 0) as bot_messages,
        coalesce(counted.unknown_messages, 0) as unknown_messages,
        coalesce(counted.failed_messages, 0) as failed_messages,
        coalesce(counted.replies, 0) as replies,
        coalesce(hands.agents, 0) as agents,
        coalesce(hands.hand_offs, 0) as hand_offs,
        coalesce(waited.waits, 0) as waits,
        coalesce(waited.waits_answered, 0) as waits_answered,
        coalesce(waited.waits_closed, 0) as waits_closed,
        coalesce(waited.waits_expired, 0) as waits_expired,
        coalesce(waited.waits_open, 0) as waits_open,
        firsts.started_at as first_wait_started_at,
        firsts.state as first_wait_state,
        firsts.replied_at as first_response_at,
        firsts.wait_seconds as first_response_seconds,
        firsts.wait_business_seconds as first_response_business_seconds,
        firsts.replied_by as first_response_by,
        firsts.replied_by_user_id as first_response_by_user_id,
        firsts.is_within_target as is_first_response_within_target,
        closed.first_closed_s,
        closed.closed_s,
        closed.closed_at,
        talks.rate,
        coalesce(
            talks.is_in_work,
            talks.status <> 'closed',
            closed.closed_s is null
            or coalesce(counted.last_sent_s, 0) > closed.closed_s
        ) as is_open
    from known
    left join talks
        on talks.conversation_id = known.conversation_id
        and talks.talk_id = known.talk_id
    left join counted
        on counted.conversation_id = known.conversation_id
        and counted.talk_id = known.talk_id
    left join closed
        on closed.conversation_id = known.conversation_id
        and closed.talk_id = known.talk_id
    left join hands
        on hands.conversation_id = known.conversation_id
        and hands.talk_id = known.talk_id
    left join waited
        on waited.conversation_id = known.conversation_id
        and waited.talk_id = known.talk_id
    left join firsts
        on firsts.conversation_id = known.conversation_id
        and firsts.talk_id = known.talk_id

)

select
    account_id,
    conversation_id,
    talk_id,
    lead_id,
    contact_id,
    origin,
    created_at,
    first_message_at,
    last_message_at,
    case
        when first_customer_s is null and first_outgoing_s is null then null
        when first_customer_s <= coalesce(first_outgoing_s, first_customer_s)
            then 'customer'
        else 'company'
    end as begun_by,
    customer_messages,
    agent_messages,
    bot_messages,
    unknown_messages,
    failed_messages,
    waits,
    waits_answered,
    waits_closed,
    waits_expired,
    waits_open,
    first_wait_started_at,
    first_wait_state,
    first_response_at,
    first_response_seconds,
    first_response_business_seconds,
    first_response_by,
    first_response_by_user_id,
    is_first_response_within_target,
    first_bot_s - first_customer_s as first_bot_response_seconds,
    agents,
    hand_offs,
    is_open,
    closed_at,
    case
        when not is_open
            then closed_s - coalesce(
                case when first_message_s < created_s then first_message_s end,
                created_s,
                first_message_s
            )
    end as resolution_seconds,
    first_closed_s is not null
    and (is_open or coalesce(last_sent_s, 0) > first_closed_s) as is_reopened,
    case
        when customer_messages = 0 then 'no_customer'
        when waits_answered > 0 then 'answered'
        when waits_open > 0 then 'waiting'
        when replies > 0 then 'replied'
        when bot_messages > 0 then 'bot_only'
        else 'unanswered'
    end as outcome,
    rate
from joined
{%- endif %}
