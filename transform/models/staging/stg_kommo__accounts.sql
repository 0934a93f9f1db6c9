with raw as (

    {{ kommo_chats.rows_of('accounts', {
        'account_id': 'number',
        'amojo_id': 'text',
        'timezone': 'text',
    }) }}

)

select
    account_id,
    nullif(amojo_id, '') as amojo_id,
    nullif(timezone, '') as timezone
from raw
