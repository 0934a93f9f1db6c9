with raw as (

    {{ kommo_chats.rows_of('talks', {
        'account_id': 'number',
        'talk_id': 'number',
        'chat_id': 'text',
        'origin': 'text',
        'contact_id': 'number',
        'entity_type': 'text',
        'entity_id': 'number',
        'status': 'text',
        'is_in_work': 'flag',
        'rate': 'number',
        'created_at': 'number',
        'updated_at': 'number',
    }) }}

)

select
    account_id,
    talk_id,
    nullif(chat_id, '') as conversation_id,
    nullif(origin, '') as origin,
    contact_id,
    case when entity_type = 'lead' then entity_id end as lead_id,
    status,
    is_in_work,
    rate,
    {{ kommo_chats.moment_of('created_at') }} as created_at,
    case when created_at between 1 and 253402300799 then created_at else 0 end
        as created_s,
    {{ kommo_chats.moment_of('updated_at') }} as updated_at
from raw
