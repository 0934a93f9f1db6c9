with raw as (

    {{ kommo_chats.rows_of('chat_events', {
        'account_id': 'number',
        'event_id': 'text',
        'type': 'text',
        'happened_at': 'moment',
        'talk_id': 'number',
        'message_id': 'text',
        'origin': 'text',
        'contact_id': 'number',
        'created_by': 'number',
    }) }}

)

select
    account_id,
    event_id,
    type,
    happened_at,
    {{ kommo_chats.epoch('happened_at') }} as happened_s,
    talk_id,
    nullif(message_id, '') as message_id,
    nullif(origin, '') as origin,
    contact_id,
    case when created_by > 0 then created_by end as user_id
from raw
where happened_at is not null and talk_id is not null
