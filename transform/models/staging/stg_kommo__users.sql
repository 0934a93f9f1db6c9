with raw as (

    {{ kommo_chats.rows_of('users', {
        'account_id': 'number',
        'user_id': 'number',
        'name': 'text',
        'amojo_id': 'text',
        'group_name': 'text',
    }) }}

)

select
    account_id,
    user_id,
    nullif(name, '') as name,
    nullif(amojo_id, '') as amojo_id,
    nullif(group_name, '') as group_name
from raw
