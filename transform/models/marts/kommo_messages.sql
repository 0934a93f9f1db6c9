{{ config(pre_hook='{{ kommo_chats.forget_touched() }}') }}

{%- set personal = var('kommo_personal_columns') -%}
-- depends_on: {{ ref('int_kommo__touched') }}
-- depends_on: {{ ref('int_kommo__touched_days') }}
{%- if kommo_chats.is_untouched() %}
{{ kommo_chats.nothing() }}
{%- else %}
with own as (

    select * from {{ ref('stg_kommo__chat_history') }}
    {{- kommo_chats.of_touched('where') }}

),

native as (

    select * from {{ ref('stg_kommo__talk_messages') }}
    {{- kommo_chats.of_touched('where') }}

),

events as (

    select * from {{ ref('int_kommo__events') }}
    {{- kommo_chats.of_touched('where') }}

),

talks as (

    select * from {{ ref('int_kommo__talks') }}
    {{- kommo_chats.of_touched('where') }}

),

-- What an event tells of its message.
told as (

    select
        conversation_id,
        message_id,
        max(account_id) as account_id,
        max(talk_id) as talk_id,
        max(origin) as origin,
        max(user_id) as user_id,
        min(type) as type,
        min(happened_at) as happened_at,
        min(happened_s) as happened_s
    from events
    where type in ('incoming_chat_message', 'outgoing_chat_message')
        and message_id is not null
    group by conversation_id, message_id

),

-- Where no event names the talk it is the one that began last before the message, or at
-- most a minute after it.
talk_times as (

    select
        conversation_id,
        talk_id,
        account_id,
        created_s - 60 as from_s,
        -- A join on anything but plain comparisons compares each row with each.
        coalesce(
            lead(created_s - 60) over (
                partition by conversation_id order by created_s, talk_id
            ),
            {{ kommo_chats.end_of_time() }}
        ) as to_s
    from talks

),

own_accounts as (

    select
        conversation_id,
        max(account_id) as account_id
    from (
        select conversation_id, account_id from {{ ref('stg_kommo__conversations') }}
        union all
        select conversation_id, account_id from talks
    ) as known
    group by conversation_id

),

accounts_in_chats as (

    select
        amojo_id,
        min(account_id) as account_id
    from {{ ref('stg_kommo__accounts') }}
    group by amojo_id

),

users_in_chats as (

    select
        account_id,
        amojo_id,
        min(user_id) as user_id
    from {{ ref('stg_kommo__users') }}
    group by account_id, amojo_id

),

messages as (

    select
        'chat_history' as stream,
        coalesce(
            accounts.account_id, own_accounts.account_id, told.account_id
        ) as account_id,
        own.conversation_id,
        own.message_id,
        coalesce(told.talk_id, talk_times.talk_id) as talk_id,
        told.origin,
        own.scope_id,
        own.sent_at,
        own.sent_s,
        own.direction,
        own.author_id,
        cast(null as {{ kommo_chats.type_text() }}) as author_type,
        own.author_name,
        cast(null as {{ kommo_chats.type_bigint() }}) as author_user_id,
        told.user_id as event_user_id,
        own.message_type,
        false as is_failed
        {%- for column in personal %},
        own.{{ column }}
        {%- endfor %}
    from own
    left join told
        on told.conversation_id = own.conversation_id
        and told.message_id = own.message_id
    left join talk_times
        on talk_times.conversation_id = own.conversation_id
        and talk_times.from_s <= own.sent_s
        and talk_times.to_s > own.sent_s
    left join accounts_in_chats as accounts
        on accounts.amojo_id = own.account_amojo_id
    left join own_accounts
        on own_accounts.conversation_id = own.conversation_id

    union all

    select
        'talk_messages',
        native.account_id,
        native.conversation_id,
        native.message_id,
        coalesce(told.talk_id, native.talk_id),
        coalesce(native.origin, told.origin),
        null,
        native.sent_at,
        native.sent_s,
        native.direction,
        native.author_id,
        native.author_type,
        native.author_name,
        case when native.author_user_id > 0 then native.author_user_id end,
        told.user_id,
        native.message_type,
        coalesce(native.delivery_status = 'error', false)
        {%- for column in personal %},
        {{ "native.text" if column == "text" else "null" }}
        {%- endfor %}
    from native
    left join told
        on told.conversation_id = native.conversation_id
        and told.message_id = native.message_id
    left join own
        on own.conversation_id = native.conversation_id
        and own.message_id = native.message_id
    where own.message_id is null

    union all

    -- Of chats whose messages are not loaded, all that is known.
    select
        'chat_events',
        told.account_id,
        told.conversation_id,
        told.message_id,
        told.talk_id,
        told.origin,
        null,
        told.happened_at,
        told.happened_s,
        case when told.type = 'incoming_chat_message' then 'incoming' else 'outgoing' end,
        null,
        null,
        null,
        null,
        told.user_id,
        null,
        false
        {%- for column in personal %},
        null
        {%- endfor %}
    from told
    left join own
        on own.conversation_id = told.conversation_id
        and own.message_id = told.message_id
    left join native
        on native.conversation_id = told.conversation_id
        and native.message_id = told.message_id
    where own.message_id is null and native.message_id is null

),

named as (

    select
        messages.*,
        case
            when messages.direction = 'incoming' then 'customer'
            when messages.direction = 'outgoing' then 'us'
            when messages.author_type = 'external' then 'customer'
            else 'us'
        end as side,
        users.user_id as chat_user_id,
        talks.lead_id,
        talks.origin as talk_origin,
        leads.responsible_user_id
    from messages
    left join users_in_chats as users
        on users.account_id = messages.account_id
        and users.amojo_id = messages.author_id
    left join talks
        on talks.account_id = messages.account_id
        and talks.talk_id = messages.talk_id
    left join {{ ref('stg_kommo__leads') }} as leads
        on leads.account_id = talks.account_id and leads.lead_id = talks.lead_id

),

acted as (

    select
        *,
        case
            when side = 'customer' then 'customer'
            when {{ kommo_chats.is_named('kommo_humans', [
                'author_id', 'author_name', 'author_user_id', 'chat_user_id',
                'event_user_id',
            ]) }} then 'agent'
            when {{ kommo_chats.is_named('kommo_bots', [
                'author_id', 'author_name', 'author_user_id', 'chat_user_id',
                'event_user_id',
            ]) }} then 'bot'
            when author_type = 'bot' then 'bot'
            when author_type = 'internal' then 'agent'
            when chat_user_id is not null or event_user_id is not null then 'agent'
            else 'unknown'
        end as actor
    from named

),

authored as (

    select
        *,
        case
            when actor = 'agent'
                then coalesce(author_user_id, chat_user_id, event_user_id)
        end as agent_user_id
    from acted

)

select
    authored.account_id,
    authored.conversation_id,
    authored.message_id,
    authored.talk_id,
    authored.lead_id,
    coalesce(authored.origin, authored.talk_origin, authored.scope_id) as origin,
    authored.stream,
    authored.sent_at,
    coalesce(calendar.local_day, cast(authored.sent_at as date)) as local_day,
    authored.actor,
    authored.author_id,
    coalesce(agents.name, authored.author_name) as author_name,
    authored.agent_user_id as author_user_id,
    case
        when authored.actor in ('agent', 'unknown')
            then coalesce(authored.agent_user_id, authored.responsible_user_id)
    end as credited_user_id,
    authored.message_type,
    authored.is_failed,
    not authored.is_failed
    and authored.actor in (
        'agent' {{- ", 'unknown'" if var('kommo_unknown_ends_wait') }}
    ) as is_reply,
    coalesce(calendar.is_open, false) as is_business_hours
    {%- for column in personal %},
    authored.{{ column }}
    {%- endfor %}
from authored
left join {{ ref('stg_kommo__users') }} as agents
    on agents.account_id = authored.account_id
    and agents.user_id = authored.agent_user_id
left join {{ ref('int_kommo__accounts') }} as accounts
    on accounts.account_id = authored.account_id
inner join {{ ref('int_kommo__accounts') }} as unknown_account
    on unknown_account.account_id = 0
left join {{ ref('int_kommo__calendar') }} as calendar
    on {{ kommo_chats.in_piece(
        'coalesce(accounts.calendar_id, unknown_account.calendar_id)',
        'authored.sent_s',
        'calendar'
    ) }}
{%- endif %}
