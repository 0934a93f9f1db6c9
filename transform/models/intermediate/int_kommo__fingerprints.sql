{#-
  What all tables make of a conversation, in one mark of it: when it differs from the
  mark of the last build, the conversation is built anew. So a late, an edited and a
  deleted row are noticed, whichever loader brought them.
-#}
{%- set text = kommo_chats.type_text() -%}
{%- set personal = var('kommo_personal_columns') -%}
with parts as (

    select
        conversation_id,
        {{ kommo_chats.hashes_of(
            ['message_id', 'scope_id', 'sent_at', 'direction', 'author_id',
             'author_name', 'message_type'] + personal
        ) }} as hashes,
        count(*) as row_count
    from {{ ref('stg_kommo__chat_history') }}
    group by conversation_id

    union all

    select
        conversation_id,
        {{ kommo_chats.hashes_of(
            ['account_id', 'message_id', 'talk_id', 'sent_at', 'direction', 'origin',
             'author_id', 'author_type', 'author_name', 'author_user_id',
             'message_type', 'delivery_status']
            + (['text'] if 'text' in personal else [])
        ) }},
        count(*)
    from {{ ref('stg_kommo__talk_messages') }}
    group by conversation_id

    union all

    select
        conversation_id,
        {{ kommo_chats.hashes_of(
            ['account_id', 'event_id', 'type', 'happened_at', 'talk_id', 'message_id',
             'origin', 'contact_id', 'user_id']
        ) }},
        count(*)
    from {{ ref('int_kommo__events') }}
    group by conversation_id

    union all

    select
        talks.conversation_id,
        {{ kommo_chats.hashes_of(
            ['talks.account_id', 'talks.talk_id', 'talks.origin', 'talks.contact_id',
             'talks.lead_id', 'talks.status', 'talks.is_in_work', 'talks.rate',
             'talks.created_at', 'leads.pipeline_id', 'leads.status_id',
             'leads.responsible_user_id']
        ) }},
        count(*)
    from {{ ref('int_kommo__talks') }} as talks
    left join {{ ref('stg_kommo__leads') }} as leads
        on leads.account_id = talks.account_id and leads.lead_id = talks.lead_id
    group by talks.conversation_id

    union all

    select
        conversation_id,
        {{ kommo_chats.hashes_of(['account_id']) }},
        count(*)
    from {{ ref('stg_kommo__conversations') }}
    group by conversation_id

),

-- What belongs to no conversation decides on all of them.
common as (

    select {{ kommo_chats.hashes_of(
        ['account_id', 'user_id', 'name', 'amojo_id', 'group_name']
    ) }} as hashes
    from {{ ref('stg_kommo__users') }}
    union all
    select {{ kommo_chats.hashes_of(['account_id', 'amojo_id']) }}
    from {{ ref('int_kommo__accounts') }}
    union all
    select {{ kommo_chats.hashes_of(
        ['account_id', 'pipeline_id', 'status_id', 'pipeline_name', 'status_name']
    ) }}
    from {{ ref('stg_kommo__pipelines') }}

),

mark as (

    select
        cast(coalesce(sum(common.hashes), 0) as {{ text }})
        || '/{{ kommo_chats.definitions_mark() }}/' || max(calendar_mark.mark) as mark
    from common
    cross join {{ ref('int_kommo__calendar_mark') }} as calendar_mark

)

select
    parts.conversation_id,
    cast(sum(parts.hashes) as {{ text }})
    || '/' || cast(sum(parts.row_count) as {{ text }})
    || '/' || max(mark.mark) as fingerprint
from parts
cross join mark
where parts.conversation_id is not null
group by parts.conversation_id
