{%- set zone = var('kommo_timezone', none) -%}
{%- set text = kommo_chats.type_text() -%}
with accounts as (

    select
        account_id,
        amojo_id,
        {%- if zone %}
        cast('{{ zone }}' as {{ text }}) as zone
        {%- else %}
        case when {{ kommo_chats.is_zone('timezone') }} then timezone else 'UTC' end
            as zone
        {%- endif %}
    from {{ ref('stg_kommo__accounts') }}

    union all

    -- Whatever belongs to an account that is not loaded.
    select
        cast(0 as {{ kommo_chats.type_bigint() }}),
        cast(null as {{ text }}),
        cast('{{ zone or "UTC" }}' as {{ text }})

),

with_hours as (

    select distinct account_id
    from (
        select account_id from {{ ref('kommo_office_hours') }}
        union all
        select account_id from {{ ref('kommo_holidays') }}
    ) as either

)

select
    accounts.account_id,
    accounts.amojo_id,
    accounts.zone,
    -- Accounts of one zone share a calendar, if no line of the seeds is of one alone.
    case
        when with_hours.account_id is null then accounts.zone
        else accounts.zone || ' of ' || cast(accounts.account_id as {{ text }})
    end as calendar_id
from accounts
left join with_hours
    on with_hours.account_id = accounts.account_id
