with raw as (

    {{ kommo_chats.rows_of('leads', {
        'account_id': 'number',
        'lead_id': 'number',
        'pipeline_id': 'number',
        'status_id': 'number',
        'responsible_user_id': 'number',
        'price': 'number',
        'is_deleted': 'flag',
    }) }}

)

select
    account_id,
    lead_id,
    pipeline_id,
    status_id,
    case when responsible_user_id > 0 then responsible_user_id end
        as responsible_user_id,
    price,
    is_deleted
from raw
