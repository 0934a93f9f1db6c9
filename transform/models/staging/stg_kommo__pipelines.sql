with raw as (

    {{ kommo_chats.rows_of('pipelines', {
        'account_id': 'number',
        'pipeline_id': 'number',
        'status_id': 'number',
        'pipeline_name': 'text',
        'status_name': 'text',
    }) }}

)

select
    account_id,
    pipeline_id,
    status_id,
    pipeline_name,
    status_name
from raw
