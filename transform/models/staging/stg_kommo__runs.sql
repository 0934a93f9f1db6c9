with raw as (

    {{ kommo_chats.rows_of('runs', {
        'scope_id': 'text',
        'run_started_at': 'moment',
        'shard': 'text',
        'outcome': 'text',
    }) }}

)

select
    scope_id,
    -- Of an account without a channel of its own the scope is its amojo_id.
    coalesce(nullif({{ dbt.split_part('scope_id', "'_'", 2) }}, ''), scope_id)
        as account_amojo_id,
    run_started_at,
    {{ kommo_chats.epoch('run_started_at') }} as run_started_s,
    shard,
    {{ dbt.split_part('shard', "'/'", 2) }} as shards,
    outcome = 'complete' as is_complete
from raw
where run_started_at is not null
