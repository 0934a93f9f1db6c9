{{ config(materialized='incremental') }}

{#- The days on which conversations that are touched had a message when they were built
  last. They are kept until all tables are built, should that take several tries. -#}
{%- set messages = none if should_full_refresh()
    else kommo_chats.as_built_before('kommo_messages') %}
{%- if messages is none %}
select
    cast(0 as {{ kommo_chats.type_bigint() }}) as account_key,
    cast('2009-01-01' as date) as local_day
from {{ ref('int_kommo__touched') }}
where 1 = 0
{%- else %}
select distinct
    coalesce(account_id, 0) as account_key,
    local_day
from {{ messages }}
where conversation_id in (
    select conversation_id from {{ ref('int_kommo__touched') }}
)
{%- endif %}
