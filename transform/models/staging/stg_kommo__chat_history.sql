{%- set personal = var('kommo_personal_columns') -%}
with raw as (

    {{ kommo_chats.rows_of('chat_history', {
        'scope_id': 'text',
        'conversation_id': 'text',
        'message_id': 'text',
        'sent_at': 'moment',
        'direction': 'text',
        'sender': 'object',
        'message': 'object',
    }) }}

)

select
    conversation_id,
    message_id,
    scope_id,
    {{ dbt.split_part('scope_id', "'_'", 2) }} as account_amojo_id,
    sent_at,
    {{ kommo_chats.epoch('sent_at') }} as sent_s,
    direction,
    nullif({{ kommo_chats.field('sender', 'id') }}, '') as author_id,
    nullif({{ kommo_chats.field('sender', 'name') }}, '') as author_name,
    nullif({{ kommo_chats.field('message', 'type') }}, '') as message_type
    {%- if 'text' in personal %},
    nullif({{ kommo_chats.field('message', 'text') }}, '') as text
    {%- endif %}
    {%- if 'phone' in personal %},
    nullif({{ kommo_chats.field('sender', 'phone') }}, '') as phone
    {%- endif %}
    {%- if 'email' in personal %},
    nullif({{ kommo_chats.field('sender', 'email') }}, '') as email
    {%- endif %}
from raw
where sent_at is not null
