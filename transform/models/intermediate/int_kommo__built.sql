{{ config(
    materialized='incremental',
    pre_hook='{{ kommo_chats.forget_touched() }}',
    post_hook='delete from {{ ref("int_kommo__touched_days") }} where 1 = 1',
) }}

{#- What all tables hold of each conversation. It is written last, so that a build that
  failed is made up for by the next. -#}
-- depends_on: {{ ref('kommo_talks') }}
-- depends_on: {{ ref('kommo_conversations') }}
-- depends_on: {{ ref('kommo_daily') }}
-- depends_on: {{ ref('kommo_agents_daily') }}
{%- if kommo_chats.is_untouched() %}
{{ kommo_chats.nothing() }}
{%- else %}
select
    touched.conversation_id,
    touched.fingerprint,
    coalesce(waiting.account_key, 0) as account_key,
    waiting.expires_s
from {{ ref('int_kommo__touched') }} as touched
left join (
    select
        conversation_id,
        max(coalesce(account_id, 0)) as account_key,
        min({{ kommo_chats.epoch('last_message_at') }})
        + 86400 * {{ var('kommo_expiry_days') }} as expires_s
    from {{ ref('kommo_waits') }}
    where state = 'waiting'
    group by conversation_id
) as waiting
    on waiting.conversation_id = touched.conversation_id
where touched.fingerprint is not null
{%- endif %}
