with raw as (

    {{ kommo_chats.rows_of('conversations', {
        'conversation_id': 'text',
        'account_id': 'number',
    }) }}

)

select
    conversation_id,
    account_id
from raw
