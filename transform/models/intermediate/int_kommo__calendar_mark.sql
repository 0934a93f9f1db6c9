{#- What the calendar is made of, in one mark. -#}
with parts as (

    select {{ kommo_chats.hashes_of(['account_id', 'zone', 'calendar_id']) }} as hashes
    from {{ ref('int_kommo__accounts') }}
    union all
    select {{ kommo_chats.hashes_of(['account_id', 'weekday', 'opens_at', 'closes_at']) }}
    from {{ ref('kommo_office_hours') }}
    union all
    select {{ kommo_chats.hashes_of(['account_id', 'day']) }}
    from {{ ref('kommo_holidays') }}

)

select
    cast(coalesce(sum(hashes), 0) as {{ kommo_chats.type_text() }})
    || '/{{ kommo_chats.checksum_of("int_kommo__calendar") }}' as mark
from parts
