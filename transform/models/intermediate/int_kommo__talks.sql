select
    account_id,
    talk_id,
    coalesce(
        conversation_id,
        {{ kommo_chats.conversation_of_talk('account_id', 'talk_id') }}
    ) as conversation_id,
    origin,
    contact_id,
    lead_id,
    status,
    is_in_work,
    rate,
    created_at,
    created_s,
    updated_at
from {{ ref('stg_kommo__talks') }}
