{%- set personal = var('kommo_personal_columns') -%}
with raw as (

    {{ kommo_chats.rows_of('talk_messages', {
        'account_id': 'number',
        'conversation_id': 'text',
        'message_id': 'text',
        'talk_id': 'number',
        'sent_at': 'moment',
        'direction': 'text',
        'origin': 'text',
        'author': 'object',
        'message_type': 'text',
        'text': 'text',
        'delivery_status': 'text',
    }) }}

)

select
    account_id,
    conversation_id,
    message_id,
    talk_id,
    sent_at,
    {{ kommo_chats.epoch('sent_at') }} as sent_s,
    direction,
    nullif(origin, '') as origin,
    nullif({{ kommo_chats.field('author', 'id') }}, '') as author_id,
    {{ kommo_chats.field('author', 'type') }} as author_type,
    nullif({{ kommo_chats.field('author', 'name') }}, '') as author_name,
    {{ kommo_chats.whole_number(kommo_chats.field('author', 'user_id')) }}
        as author_user_id,
    nullif(message_type, '') as message_type,
    delivery_status
    {%- if 'text' in personal %},
    nullif(text, '') as text
    {%- endif %}
from raw
where sent_at is not null
