{{ config(materialized='table') }}

{#- The conversations that differ from what was built of them, and those of which a wait
  has expired since. One that is gone has no fingerprint. -#}
{%- set built = none if should_full_refresh()
    else kommo_chats.as_built_before('int_kommo__built') %}
with now as (

    select
        conversation_id,
        fingerprint
    from {{ ref('int_kommo__fingerprints') }}

)
{%- if built is none %}

select * from now
{%- else %},

built as (

    select
        built.conversation_id,
        built.fingerprint,
        built.expires_s < coalesce(as_of.as_of_s, otherwise.as_of_s) as has_expired
    from {{ built }} as built
    left join {{ ref('int_kommo__as_of') }} as as_of
        on as_of.account_id = built.account_key
    inner join {{ ref('int_kommo__as_of') }} as otherwise
        on otherwise.account_id = 0

)

select
    coalesce(now.conversation_id, built.conversation_id) as conversation_id,
    now.fingerprint
from now
full outer join built
    on built.conversation_id = now.conversation_id
where now.conversation_id is null
    or built.conversation_id is null
    or now.fingerprint <> built.fingerprint
    or coalesce(built.has_expired, false)
{%- endif %}
-- depends_on: {{ ref('int_kommo__as_of') }}
