{%- set told = var('kommo_as_of', none) %}
-- depends_on: {{ ref('stg_kommo__chat_history') }}
-- depends_on: {{ ref('stg_kommo__talk_messages') }}
-- depends_on: {{ ref('stg_kommo__chat_events') }}
with runs as (

    select
        coalesce(accounts.account_id, 0) as account_id,
        runs.*
    from {{ ref('stg_kommo__runs') }} as runs
    left join (
        select
            amojo_id,
            min(account_id) as account_id
        from {{ ref('stg_kommo__accounts') }}
        group by amojo_id
    ) as accounts
        on accounts.amojo_id = runs.account_amojo_id

),

-- Only all parts of an account together are as fresh as the oldest of them. Parts of an
-- earlier division do not count.
newest as (

    select
        scope_id,
        max(run_started_s) as run_started_s
    from runs
    where is_complete
    group by scope_id

),

division as (

    select
        runs.scope_id,
        max(runs.shards) as shards
    from runs
    inner join newest
        on newest.scope_id = runs.scope_id
        and newest.run_started_s = runs.run_started_s
    where runs.is_complete
    group by runs.scope_id

),

parts as (

    select
        runs.account_id,
        runs.scope_id,
        runs.shard,
        max(runs.run_started_s) as as_of_s
    from runs
    inner join division
        on division.scope_id = runs.scope_id and division.shards = runs.shards
    where runs.is_complete
    group by runs.account_id, runs.scope_id, runs.shard

),

scopes as (

    select
        account_id,
        scope_id,
        min(as_of_s) as as_of_s
    from parts
    group by account_id, scope_id

),

told as (

    select
        account_id,
        max(as_of_s) as as_of_s
    from scopes
    group by account_id

),

otherwise as (

    {%- if kommo_chats.is_loaded('runs') %}

    select coalesce(
        (select max(as_of_s) from told),
        (select max(run_started_s) from runs)
    ) as as_of_s
    {%- else %}

    select max(as_of_s) as as_of_s
    from (
        select max(sent_s) as as_of_s from {{ ref('stg_kommo__chat_history') }}
        union all
        select max(sent_s) from {{ ref('stg_kommo__talk_messages') }}
        union all
        select max(happened_s) from {{ ref('stg_kommo__chat_events') }}
    ) as newest_messages
    {%- endif %}

)

select
    accounts.account_id,
    {%- if told %}
    {{ kommo_chats.epoch("cast('" ~ told ~ "' as " ~ dbt.type_timestamp() ~ ")") }}
        as as_of_s
    {%- else %}
    coalesce(told.as_of_s, otherwise.as_of_s) as as_of_s
    {%- endif %}
from {{ ref('int_kommo__accounts') }} as accounts
cross join otherwise
left join told
    on told.account_id = accounts.account_id
